// The queries of vKV as bytes: what `read` answers at any replica (PROTOCOL 4, 9).
//
//   get:      u8 kind · u16 n · key
//   getMany:  u8 kind · u16 n · n × guard · u16 n · n × (u16 n · key)
//   range:    u8 kind · u8 table · u8 flags · u32 limit · u16 n · prefix · u16 n · after          in the order of the keys' bytes
import { MAX_KEY_BYTES, readU32, Writer } from '@coppice/protocol'
import { keyEnd, readU16, writeGuard, writeKey, type Guard } from './operations.js'

export const QUERY_GET = 1
export const QUERY_GET_MANY = 2
export const QUERY_RANGE = 3

/** What a range goes over. */
export const TABLE_KEYS = 0
export const TABLE_LOCKS = 1
export const TABLE_SESSIONS = 2

export const RANGE_KEYS_ONLY = 1

/** Keys, and guards, of one getMany. */
export const MAX_MANY = 16_384
/** Entries of one page of a range. */
export const MAX_RANGE_LIMIT = 16_384

/** What precedes the key of a get. */
export const GET_HEAD_BYTES = 3

export function writeGetHead(b: Uint8Array, at: number, keyBytes: number): void {
  b[at] = QUERY_GET
  b[at + 1] = keyBytes
  b[at + 2] = keyBytes >>> 8
}

export function encodeGet(key: Uint8Array): Uint8Array {
  const query = new Uint8Array(GET_HEAD_BYTES + key.length)
  writeGetHead(query, 0, key.length)
  query.set(key, GET_HEAD_BYTES)
  return query
}

/** Several keys at one index; with guards the answer also proves that at this index the locks were held with these fences. */
export function encodeGetMany(keys: readonly Uint8Array[], guards: readonly Guard[] = []): Uint8Array {
  const w = new Writer(64 * (1 + keys.length + guards.length))
  w.u8(QUERY_GET_MANY)
  writeU16(w, guards.length)
  for (const guard of guards) writeGuard(w, guard)
  writeU16(w, keys.length)
  for (const key of keys) writeKey(w, key)
  return w.view()
}

export interface RangeQuery {
  readonly table: typeof TABLE_KEYS | typeof TABLE_LOCKS | typeof TABLE_SESSIONS
  readonly prefix: Uint8Array
  /** Only keys above this one; empty: from the beginning. */
  readonly after: Uint8Array
  readonly limit: number
  readonly keysOnly?: boolean
}

export function encodeRange(query: RangeQuery): Uint8Array {
  const w = new Writer(16 + query.prefix.length + query.after.length)
  w.u8(QUERY_RANGE)
  w.u8(query.table)
  w.u8(query.keysOnly === true ? RANGE_KEYS_ONLY : 0)
  w.u32(Math.min(query.limit, MAX_RANGE_LIMIT))
  writeKey(w, query.prefix)
  writeKey(w, query.after)
  return w.view()
}

function writeU16(w: Writer, value: number): void {
  w.u8(value)
  w.u8(value >>> 8)
}

/** Why the query in [start, end) cannot be answered, or undefined. */
export function queryProblem(b: Uint8Array, start: number, end: number): string | undefined {
  if (start >= end) return 'query is empty'
  switch (b[start]) {
    case QUERY_GET: {
      const at = keyEnd(b, start + 1, end, 'get: key')
      return typeof at === 'string' ? at : trailing('get', at, end)
    }
    case QUERY_GET_MANY:
      return manyProblem(b, start + 1, end)
    case QUERY_RANGE:
      return rangeProblem(b, start, end)
    default:
      return `unknown query ${b[start]}`
  }
}

function manyProblem(b: Uint8Array, start: number, end: number): string | undefined {
  let at = start
  for (const [what, fixed] of [['guards', 8] as const, ['keys', 0] as const]) {
    if (at + 2 > end) return 'getMany is cut off'
    const count = readU16(b, at)
    if (count > MAX_MANY) return `getMany has ${count} ${what}, above the limit of ${MAX_MANY}`
    at += 2
    for (let i = 0; i < count; i++) {
      const next = keyEnd(b, at, end, fixed === 0 ? 'getMany: key' : 'getMany: lock name')
      if (typeof next === 'string') return next
      at = next + fixed
      if (at > end) return 'getMany: fence is cut off'
      if (fixed !== 0 && readU32(b, at - 4) > 0x1f_ffff) return 'getMany: fence is above 2^53'
    }
  }
  return trailing('getMany', at, end)
}

function rangeProblem(b: Uint8Array, start: number, end: number): string | undefined {
  if (start + 7 > end) return 'range is cut off'
  if (b[start + 1]! > TABLE_SESSIONS) return `range over unknown table ${b[start + 1]}`
  if ((b[start + 2]! & ~RANGE_KEYS_ONLY) !== 0) return `range has unknown flags ${b[start + 2]}`
  const limit = readU32(b, start + 3)
  if (limit === 0 || limit > MAX_RANGE_LIMIT) return `range: limit ${limit} is not between 1 and ${MAX_RANGE_LIMIT}`
  let at = start + 7
  for (const what of ['prefix', 'after']) {
    if (at + 2 > end) return `range: ${what} is cut off`
    const length = readU16(b, at)
    if (length > MAX_KEY_BYTES) return `range: ${what} of ${length} bytes is above the limit of ${MAX_KEY_BYTES}`
    at += 2 + length
    if (at > end) return `range: ${what} is cut off`
  }
  return trailing('range', at, end)
}

function trailing(what: string, at: number, end: number): string | undefined {
  return at === end ? undefined : `${what}: ${end - at} bytes too many`
}
