// The operations of vKV as bytes (PROTOCOL 9), and the one parser that validation and apply share.
//
//   put, delete, condPut:  u8 kind · u8 flags · u8 n · n × guard · u16 n · key · [u53 ifVersion] · [u53 ttlMs] · [u53 session] ·
//                          [u32 n · expected] · [next …]
//   acquire:               u8 kind · u16 n · name · u8 n · owner · u53 session · u32 ttlMs · u8 has · [value …]
//   renew:                 u8 kind · u16 n · name · u8 n · owner · u53 fence · u32 ttlMs · u8 has · [value …]
//   release:               u8 kind · u16 n · name · u8 n · owner · u53 fence · u53 session
//
// Guards: operation-parts.ts. Transactions, sessions and idempotency keys: txn.ts, session-operations.ts, idempotency.ts.
// A value is what is left of the operation; an absent one and an empty one differ by a flag.
import { MAX_TTL_MS, MAX_VALUE_BYTES, readU32, readU53, Writer, type Index } from '@coppice/protocol'
import { OP_ONCE, parseOnce } from './idempotency.js'
import { guardsEnd, keyEnd, writeGuard, writeKey, type Guard } from './operation-parts.js'
import { isSessionOperation, OP_END_SESSION, parseSessionOperation } from './session-operations.js'
import { OP_TXN, OP_TXN_TIMED, ParsedTxn } from './txn.js'
import { wholeNumber } from './whole-number.js'

export const OP_PUT = 1
export const OP_DELETE = 2
export const OP_COND_PUT = 3
export const OP_ACQUIRE = 4
export const OP_RENEW = 5
export const OP_RELEASE = 6
const OP_NAMES = ['', 'put', 'delete', 'condPut', 'acquire', 'renew', 'release']

const FLAG_IF_VERSION = 1
const FLAG_EXPECTED = 2
const FLAG_NEXT = 4
const FLAG_TTL = 8
const FLAG_SESSION = 16
const KNOWN_FLAGS = FLAG_IF_VERSION | FLAG_EXPECTED | FLAG_NEXT | FLAG_TTL | FLAG_SESSION

export const MAX_OWNER_BYTES = 64
/** What the holder of a lock may say of itself. */
export const MAX_LOCK_VALUE_BYTES = 1_024

/** Under which a write is done; else its reply says why not. */
export interface WriteConditions {
  /** The key's version must be this; 0: the key must be missing. */
  readonly ifVersion?: Index | undefined
  readonly guards?: readonly Guard[] | undefined
}
/** When a written key ends by itself. What a write does not name, the key does not have any more. */
export interface Lifetime {
  /** Milliseconds by the log's time, whole and above zero. */
  readonly ttlMs?: number | undefined
  /** Id of the session that the key ends with. */
  readonly session?: Index | undefined
}

/** The operation that writes a value. */
export function encodePut(
  key: Uint8Array,
  value: Uint8Array,
  conditions: WriteConditions = {},
  lifetime?: Lifetime,
): Uint8Array {
  return encodeWrite(OP_PUT, key, conditions, undefined, value, lifetime)
}

/** What precedes the key of a put without conditions. */
export const PUT_HEAD_BYTES = 5

export function writePutHead(b: Uint8Array, at: number, keyBytes: number): void {
  b[at] = OP_PUT
  b[at + 1] = FLAG_NEXT
  b[at + 2] = 0
  b[at + 3] = keyBytes
  b[at + 4] = keyBytes >>> 8
}

/** The operation that deletes a key. */
export function encodeDelete(key: Uint8Array, conditions: WriteConditions = {}): Uint8Array {
  return encodeWrite(OP_DELETE, key, conditions, undefined, undefined)
}

/** If the key's value is `expected` (undefined: missing), make it `next` (undefined: delete it). */
export function encodeCondPut(
  key: Uint8Array,
  expected: Uint8Array | undefined,
  next: Uint8Array | undefined,
  guards?: readonly Guard[],
  lifetime?: Lifetime,
): Uint8Array {
  return encodeWrite(OP_COND_PUT, key, { guards }, expected, next, lifetime)
}

function encodeWrite(
  kind: number,
  key: Uint8Array,
  conditions: WriteConditions,
  expected: Uint8Array | undefined,
  next: Uint8Array | undefined,
  lifetime: Lifetime = {},
): Uint8Array {
  const guards = conditions.guards ?? []
  const { ttlMs, session } = lifetime
  let size = 3 + 2 + key.length + 24 + 4 + (expected?.length ?? 0) + (next?.length ?? 0)
  for (const guard of guards) size += 10 + guard.lock.length
  const w = new Writer(size)
  w.u8(kind)
  w.u8(
    (conditions.ifVersion === undefined ? 0 : FLAG_IF_VERSION) |
      (expected === undefined ? 0 : FLAG_EXPECTED) |
      (next === undefined ? 0 : FLAG_NEXT) |
      (ttlMs === undefined ? 0 : FLAG_TTL) |
      (session === undefined ? 0 : FLAG_SESSION),
  )
  w.u8(guards.length)
  for (const guard of guards) writeGuard(w, guard)
  writeKey(w, key)
  if (conditions.ifVersion !== undefined) w.u53(conditions.ifVersion)
  if (ttlMs !== undefined) w.u53(ttlMs)
  if (session !== undefined) w.u53(session)
  if (expected !== undefined) w.bytes(expected)
  if (next !== undefined) w.raw(next)
  return w.view()
}

/**
 * One operation taken apart: places in its buffer, no copies. An instance is reused, so that parsing allocates nothing.
 * Fields that the kind does not have keep old contents.
 */
export class ParsedOperation {
  kind = 0
  /** The key, or the lock's name. */
  keyStart = 0
  keyEnd = 0
  guards = 0
  guardsAt = 0
  /** -1: no such condition. */
  ifVersion: Index = -1
  hasExpected = false
  expectedStart = 0
  expectedEnd = 0
  hasNext = false
  nextStart = 0
  nextEnd = 0
  ownerStart = 0
  ownerEnd = 0
  fence: Index = 0
  /** Of a lock, a session, or a written key; of a key 0: it has none. */
  ttlMs = 0
  /** Session that a written key, or a place in a queue, is bound to, 0: none; or the one that is ended. */
  session: Index = 0
  /** Why a session is ended. */
  why = 0
  /** Sessions that are kept alive. */
  ids = 0
  idsAt = 0
  /** The idempotency key; empty: there is none. */
  onceStart = 0
  onceEnd = 0
  /** For how long the answer is kept under it, ms. */
  keepMs = 0
  /** It names an update, which is the same whatever value was computed. */
  anyValue = false
  /** The operation without what stands around it. */
  innerStart = 0
  innerEnd = 0
  /** What a transaction says. */
  readonly txn = new ParsedTxn()

  /** Takes [start, end) apart; the answer says what is wrong with it, undefined: nothing. */
  parse(b: Uint8Array, start: number, end: number): string | undefined {
    if (start >= end) return 'operation is empty'
    this.onceStart = 0
    this.onceEnd = 0
    if (b[start] === OP_ONCE) {
      const inner = parseOnce(this, b, start, end)
      if (typeof inner === 'string') return inner
      start = inner
    }
    this.kind = b[start]!
    switch (this.kind) {
      case OP_PUT:
      case OP_DELETE:
      case OP_COND_PUT:
        return this.#parseWrite(b, start, end)
      case OP_ACQUIRE:
      case OP_RENEW:
      case OP_RELEASE:
        return this.#parseLock(b, start, end)
      case OP_TXN:
      case OP_TXN_TIMED:
        return this.txn.parse(b, start, end)
      default:
        if (isSessionOperation(this.kind)) return parseSessionOperation(this, b, start, end)
        return `unknown operation ${this.kind}`
    }
  }

  #parseWrite(b: Uint8Array, start: number, end: number): string | undefined {
    const name = OP_NAMES[this.kind]!
    if (start + 3 > end) return `${name} is cut off`
    const flags = b[start + 1]!
    if ((flags & ~KNOWN_FLAGS) !== 0) return `${name} has unknown flags ${flags}`
    this.guards = b[start + 2]!
    this.guardsAt = start + 3
    let at = start + 3
    if (this.guards > 0) {
      const after = guardsEnd(b, at, end, this.guards, name)
      if (typeof after === 'string') return after
      at = after
    }
    const afterKey = keyEnd(b, at, end, `${name}: key`)
    if (typeof afterKey === 'string') return afterKey
    this.keyStart = at + 2
    this.keyEnd = afterKey
    at = afterKey
    this.ifVersion = -1
    if ((flags & FLAG_IF_VERSION) !== 0) {
      // A condPut compares the value; a second condition would need a second answer.
      if (this.kind === OP_COND_PUT) return 'condPut: ifVersion is not known here'
      if (at + 8 > end) return `${name}: ifVersion is cut off`
      if (readU32(b, at + 4) > 0x1f_ffff) return `${name}: ifVersion is above 2^53`
      this.ifVersion = readU53(b, at)
      at += 8
    }
    this.ttlMs = 0
    this.session = 0
    if ((flags & (FLAG_TTL | FLAG_SESSION)) !== 0) {
      const after = this.#parseLifetime(b, at, end, flags)
      if (typeof after === 'string') return `${name}: ${after}`
      at = after
    }
    this.hasExpected = (flags & FLAG_EXPECTED) !== 0
    if (this.hasExpected) {
      if (this.kind !== OP_COND_PUT) return `${name}: an expected value is not known here`
      if (at + 4 > end) return `${name}: expected value is cut off`
      const length = readU32(b, at)
      if (length > MAX_VALUE_BYTES) return tooLong(`${name}: expected value`, length)
      if (at + 4 + length > end) return `${name}: expected value is cut off`
      this.expectedStart = at + 4
      at += 4 + length
      this.expectedEnd = at
    }
    this.hasNext = (flags & FLAG_NEXT) !== 0
    if (this.hasNext !== (this.kind === OP_PUT) && this.kind !== OP_COND_PUT) {
      return this.kind === OP_PUT ? 'put: value is missing' : `${name}: a value is not known here`
    }
    if (!this.hasNext && at !== end) return `${name}: ${end - at} bytes too many`
    if (end - at > MAX_VALUE_BYTES) return tooLong(`${name}: value`, end - at)
    this.nextStart = at
    this.nextEnd = end
    return undefined
  }

  /** Where it ends, or what is wrong with it. */
  #parseLifetime(b: Uint8Array, at: number, end: number, flags: number): number | string {
    // What is deleted has no end to come.
    if ((flags & FLAG_NEXT) === 0) return 'a ttl or a session needs a value'
    if ((flags & FLAG_TTL) !== 0) {
      const ttlMs = wholeNumber(b, at, end)
      if (ttlMs < 1 || ttlMs > MAX_TTL_MS) return `ttl of ${ttlMs} ms is not between 1 ms and ten years`
      this.ttlMs = ttlMs
      at += 8
    }
    if ((flags & FLAG_SESSION) !== 0) {
      const session = wholeNumber(b, at, end)
      if (session < 1) return 'session is no id'
      this.session = session
      at += 8
    }
    return at
  }

  #parseLock(b: Uint8Array, start: number, end: number): string | undefined {
    const name = OP_NAMES[this.kind]!
    const afterKey = keyEnd(b, start + 1, end, `${name}: lock name`)
    if (typeof afterKey === 'string') return afterKey
    this.keyStart = start + 3
    this.keyEnd = afterKey
    let at = afterKey
    if (at + 1 > end) return `${name}: owner is cut off`
    const ownerLength = b[at]!
    if (ownerLength === 0) return `${name}: owner is empty`
    if (ownerLength > MAX_OWNER_BYTES) {
      return `${name}: owner of ${ownerLength} bytes is above the limit of ${MAX_OWNER_BYTES}`
    }
    this.ownerStart = at + 1
    at += 1 + ownerLength
    this.ownerEnd = at
    const rest = this.kind === OP_RELEASE ? 16 : 13
    if (at + rest > end) return `${name} is cut off`
    if (readU32(b, at + 4) > 0x1f_ffff) {
      return `${name}: ${this.kind === OP_ACQUIRE ? 'session' : 'fence'} is above 2^53`
    }
    if (this.kind === OP_ACQUIRE) this.session = readU53(b, at)
    else this.fence = readU53(b, at)
    if (this.kind === OP_RELEASE) {
      if (at + rest < end) return `${name}: ${end - at - rest} bytes too many`
      if (readU32(b, at + 12) > 0x1f_ffff) return `${name}: session is above 2^53`
      this.session = readU53(b, at + 8)
      return undefined
    }
    this.ttlMs = readU32(b, at + 8)
    // A lock that is never held would be given to everybody in turn.
    if (this.kind === OP_ACQUIRE && this.ttlMs === 0) return 'acquire: ttl is zero'
    if (b[at + 12]! > 1) return `${name}: ${b[at + 12]} is neither a value nor none`
    this.hasNext = b[at + 12] === 1
    this.nextStart = at + rest
    this.nextEnd = end
    if (!this.hasNext && at + rest < end) return `${name}: ${end - at - rest} bytes too many`
    if (end - at - rest > MAX_LOCK_VALUE_BYTES) {
      return `${name}: value of ${end - at - rest} bytes is above the limit of ${MAX_LOCK_VALUE_BYTES}`
    }
    return undefined
  }
}

/** Whether what the operation does depends on the log's time. Its bytes were found right. */
export function readsTime(b: Uint8Array, start: number): boolean {
  const kind = b[start]!
  if (kind <= OP_COND_PUT) return (b[start + 1]! & FLAG_TTL) !== 0
  return kind === OP_ONCE || kind === OP_TXN_TIMED || (isSessionOperation(kind) && kind !== OP_END_SESSION)
}

function tooLong(what: string, bytes: number): string {
  return `${what} of ${bytes} bytes is above the limit of ${MAX_VALUE_BYTES}`
}
