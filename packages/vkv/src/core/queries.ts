// The queries of vKV as bytes: what `read` answers at any replica (PROTOCOL 4, 9).
//
//   get:      u8 kind · u16 n · key
//   getMany:  u8 kind · u16 n · n × guard · u16 n · n × (u16 n · key)
//   range:    u8 kind · u8 table · u8 flags · u32 limit · u16 n · start · u16 n · end          in the order of the keys' bytes
//   count:    u8 kind · u8 table · u8 flags · u16 n · start · u16 n · end
import { EMPTY_BYTES, MAX_KEY_BYTES, readU32, Writer } from '@coppice/protocol'
import { compareBytes } from './compare-bytes.js'
import { keyEnd, readU16, writeGuard, writeKey, writeU16, type Guard } from './operation-parts.js'

export const QUERY_GET = 1
/** First byte of the query for several keys. */
export const QUERY_GET_MANY = 2
export const QUERY_RANGE = 3
export const QUERY_COUNT = 4

/** What a range goes over. */
export const TABLE_KEYS = 0
/** Of a range: locks. */
export const TABLE_LOCKS = 1
/** Of a range: sessions. */
export const TABLE_SESSIONS = 2

export const RANGE_KEYS_ONLY = 1
/** From the end on. */
export const RANGE_REVERSE = 2
/** The start itself is left out. */
export const RANGE_BEHIND_START = 4
const KNOWN_RANGE_FLAGS = RANGE_KEYS_ONLY | RANGE_REVERSE | RANGE_BEHIND_START

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

/** The query for one key. */
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

/** What lies between two keys: all bounds given must hold. */
export interface KeySpan {
  /** Only keys that begin so. */
  readonly prefix?: Uint8Array | undefined
  /** Only keys from this one on. */
  readonly start?: Uint8Array | undefined
  /** Only keys behind this one. */
  readonly after?: Uint8Array | undefined
  /** Only keys before this one. */
  readonly end?: Uint8Array | undefined
}
/** One page of a scan. */
export interface RangeQuery extends KeySpan {
  readonly table: typeof TABLE_KEYS | typeof TABLE_LOCKS | typeof TABLE_SESSIONS
  readonly limit: number
  readonly keysOnly?: boolean | undefined
  /** The last keys first. */
  readonly reverse?: boolean | undefined
}

/** The query for one page of a scan. */
export function encodeRange(query: RangeQuery): Uint8Array {
  const bounds = boundsOf(query)
  const w = new Writer(16 + bounds.start.length + bounds.end.length)
  w.u8(QUERY_RANGE)
  w.u8(query.table)
  w.u8(
    (query.keysOnly === true ? RANGE_KEYS_ONLY : 0) |
      (query.reverse === true ? RANGE_REVERSE : 0) |
      (bounds.behindStart ? RANGE_BEHIND_START : 0),
  )
  w.u32(Math.min(query.limit, MAX_RANGE_LIMIT))
  writeKey(w, bounds.start)
  writeKey(w, bounds.end)
  return w.view()
}

/** How many keys there are. */
export function encodeCount(table: RangeQuery['table'], span: KeySpan): Uint8Array {
  const bounds = boundsOf(span)
  const w = new Writer(16 + bounds.start.length + bounds.end.length)
  w.u8(QUERY_COUNT)
  w.u8(table)
  w.u8(bounds.behindStart ? RANGE_BEHIND_START : 0)
  writeKey(w, bounds.start)
  writeKey(w, bounds.end)
  return w.view()
}

interface Bounds {
  readonly start: Uint8Array
  readonly behindStart: boolean
  /** Exclusive; empty: none. */
  readonly end: Uint8Array
}

function boundsOf({
  prefix = EMPTY_BYTES,
  start = EMPTY_BYTES,
  after = EMPTY_BYTES,
  end = EMPTY_BYTES,
}: KeySpan): Bounds {
  let from = prefix
  if (order(start, from) > 0) from = start
  const behindStart = after.length > 0 && order(after, from) >= 0
  if (behindStart) from = after
  let to = keyBehindPrefix(prefix)
  if (end.length > 0 && (to.length === 0 || order(end, to) < 0)) to = end
  return { start: from, behindStart, end: to }
}

/** The first key above all that begin with `prefix`; empty: there is none. */
function keyBehindPrefix(prefix: Uint8Array): Uint8Array {
  let n = prefix.length
  while (n > 0 && prefix[n - 1] === 255) n--
  if (n === 0) return EMPTY_BYTES
  const behind = prefix.slice(0, n)
  behind[n - 1]!++
  return behind
}

function order(a: Uint8Array, b: Uint8Array): number {
  return compareBytes(a, 0, a.length, b, 0, b.length)
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
    case QUERY_COUNT:
      return countProblem(b, start, end)
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
  if ((b[start + 2]! & ~KNOWN_RANGE_FLAGS) !== 0) return `range has unknown flags ${b[start + 2]}`
  const limit = readU32(b, start + 3)
  if (limit === 0 || limit > MAX_RANGE_LIMIT) return `range: limit ${limit} is not between 1 and ${MAX_RANGE_LIMIT}`
  return boundsProblem('range', b, start + 7, end)
}

function countProblem(b: Uint8Array, start: number, end: number): string | undefined {
  if (start + 3 > end) return 'count is cut off'
  if (b[start + 1]! > TABLE_SESSIONS) return `count over unknown table ${b[start + 1]}`
  if ((b[start + 2]! & ~RANGE_BEHIND_START) !== 0) return `count has unknown flags ${b[start + 2]}`
  return boundsProblem('count', b, start + 3, end)
}

function boundsProblem(query: string, b: Uint8Array, start: number, end: number): string | undefined {
  let at = start
  for (const what of ['start', 'end']) {
    if (at + 2 > end) return `${query}: ${what} is cut off`
    const length = readU16(b, at)
    if (length > MAX_KEY_BYTES) return `${query}: ${what} of ${length} bytes is above the limit of ${MAX_KEY_BYTES}`
    at += 2 + length
    if (at > end) return `${query}: ${what} is cut off`
  }
  return trailing(query, at, end)
}

function trailing(what: string, at: number, end: number): string | undefined {
  return at === end ? undefined : `${what}: ${end - at} bytes too many`
}
