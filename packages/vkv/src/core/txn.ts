// Transactions as bytes (PROTOCOL 6, 9): comparisons, what is done when all of them hold, and what is done when one does not; and the one
// parser that validation and apply share.
//
//   txn, timed txn:  u8 kind · u8 n · n × guard · u16 n · n × comparison · u16 n · n × step · u16 n · n × step
//   comparison:      u8 relation · u16 n · key · [u53 version | u32 n · value]
//   step:            u8 kind · u16 n · key · [u53 ttlMs · u53 session] · [u32 n · value]      0: none; a step that has the two has one at least
//
// A transaction with a ttl has a kind of its own: what depends on the log's time is known by its first byte.
//
// Comparisons and gets see the state before the transaction, its writes come after them: so a branch writes a key once at the most, and
// one (key, version) has one value for everybody, those inside the transaction included.
import { MAX_KEY_BYTES, MAX_TTL_MS, MAX_VALUE_BYTES, readU32, Writer, type Index, type Millis } from '@coppice/protocol'
import { compareBytes } from './compare-bytes.js'
import { hashKey } from './hash-index.js'
import {
  guardsEnd,
  keyEnd,
  MAX_GUARDS,
  readU16,
  writeGuard,
  writeKey,
  writeU16,
  type Guard,
} from './operation-parts.js'
import { LIFETIME_BYTES, STEP_DELETE, STEP_GET, STEP_PUT, STEP_PUT_LASTING, StepCursor } from './step-cursor.js'
import { wholeNumber } from './whole-number.js'

export const OP_TXN = 60
/** One that has a ttl in some step, so that it depends on the log's time. */
export const OP_TXN_TIMED = 61

/** Comparisons and steps of one transaction, both branches counted. */
export const MAX_TXN_PARTS = 1_024
/** Bytes of one transaction: one largest value, and a largest key for every part and every guard. */
export const MAX_TXN_BYTES = MAX_VALUE_BYTES + (MAX_TXN_PARTS + MAX_GUARDS) * (MAX_KEY_BYTES + 32)

export const EXISTS = 1
export const MISSING = 2
export const VERSION_EQUAL = 3
export const VERSION_NOT_EQUAL = 4
export const VERSION_BELOW = 5
export const VERSION_ABOVE = 6
export const VALUE_EQUAL = 7
export const VALUE_NOT_EQUAL = 8

/** What must be true of a key. A missing key has version 0 and no value: it equals none. */
export type Comparison =
  | { readonly key: Uint8Array; readonly relation: typeof EXISTS | typeof MISSING }
  | {
      readonly key: Uint8Array
      readonly relation: typeof VERSION_EQUAL | typeof VERSION_NOT_EQUAL | typeof VERSION_BELOW | typeof VERSION_ABOVE
      readonly version: Index
    }
  | {
      readonly key: Uint8Array
      readonly relation: typeof VALUE_EQUAL | typeof VALUE_NOT_EQUAL
      readonly value: Uint8Array
    }
/**
 * What a transaction does with one key.
 * @internal
 */
export type Step =
  | { readonly kind: typeof STEP_PUT; readonly key: Uint8Array; readonly value: Uint8Array }
  | {
      readonly kind: typeof STEP_PUT_LASTING
      readonly key: Uint8Array
      readonly value: Uint8Array
      /** 0: none. */
      readonly ttlMs: Millis
      /** 0: none. */
      readonly session: Index
    }
  | { readonly kind: typeof STEP_DELETE | typeof STEP_GET; readonly key: Uint8Array }

export interface TxnOperation {
  readonly guards: readonly Guard[]
  readonly comparisons: readonly Comparison[]
  /** Done when all comparisons hold. */
  readonly success: readonly Step[]
  /** Done when one does not. */
  readonly failure: readonly Step[]
}

export function encodeTxn({ guards, comparisons, success, failure }: TxnOperation): Uint8Array {
  const w = new Writer(64 + 32 * (guards.length + comparisons.length + success.length + failure.length))
  w.u8(success.some(hasTtl) || failure.some(hasTtl) ? OP_TXN_TIMED : OP_TXN)
  w.u8(guards.length)
  for (const guard of guards) writeGuard(w, guard)
  writeU16(w, comparisons.length)
  for (const comparison of comparisons) {
    w.u8(comparison.relation)
    writeKey(w, comparison.key)
    if ('version' in comparison) w.u53(comparison.version)
    else if ('value' in comparison) w.bytes(comparison.value)
  }
  for (const steps of [success, failure]) {
    writeU16(w, steps.length)
    for (const step of steps) {
      w.u8(step.kind)
      writeKey(w, step.key)
      if (step.kind === STEP_PUT_LASTING) {
        w.u53(step.ttlMs)
        w.u53(step.session)
      }
      if ('value' in step) w.bytes(step.value)
    }
  }
  return w.view()
}

function hasTtl(step: Step): boolean {
  return step.kind === STEP_PUT_LASTING && step.ttlMs !== 0
}

/** Twice as many as there may be keys: a power of two. */
const SLOTS = 2 * MAX_TXN_PARTS

/** One transaction taken apart: places in its buffer, no copies. An instance is reused, so that parsing allocates nothing. */
export class ParsedTxn {
  guards = 0
  guardsAt = 0
  comparisons = 0
  comparisonsAt = 0
  success = 0
  successAt = 0
  failure = 0
  failureAt = 0
  /** Whether some step binds its key to a session. */
  bindsKeys = false
  readonly #steps = new StepCursor()
  /** Where the keys written so far by a branch begin (1 + the place of their length), by hash; 0: free. */
  readonly #written = new Int32Array(SLOTS)

  /** Takes [start, end) apart; the answer says what is wrong with it, undefined: nothing. */
  parse(b: Uint8Array, start: number, end: number): string | undefined {
    if (end - start > MAX_TXN_BYTES) return `txn of ${end - start} bytes is above the limit of ${MAX_TXN_BYTES}`
    if (start + 2 > end) return 'txn is cut off'
    const timed = b[start] === OP_TXN_TIMED
    this.bindsKeys = false
    this.guards = b[start + 1]!
    this.guardsAt = start + 2
    let at = guardsEnd(b, start + 2, end, this.guards, 'txn')
    if (typeof at === 'string') return at
    if (at + 2 > end) return 'txn is cut off'
    this.comparisons = readU16(b, at)
    this.comparisonsAt = at + 2
    let parts = this.comparisons
    if (parts > MAX_TXN_PARTS) return tooManyParts(parts)
    at += 2
    for (let i = 0; i < this.comparisons; i++) {
      at = comparisonEnd(b, at, end)
      if (typeof at === 'string') return at
    }
    if (at + 2 > end) return 'txn is cut off'
    this.success = readU16(b, at)
    this.successAt = at + 2
    parts += this.success
    if (parts > MAX_TXN_PARTS) return tooManyParts(parts)
    at = this.#stepsEnd(b, at + 2, end, this.success, timed)
    if (typeof at === 'string') return at
    if (at + 2 > end) return 'txn is cut off'
    this.failure = readU16(b, at)
    this.failureAt = at + 2
    parts += this.failure
    if (parts > MAX_TXN_PARTS) return tooManyParts(parts)
    at = this.#stepsEnd(b, at + 2, end, this.failure, timed)
    if (typeof at === 'string') return at
    return at === end ? undefined : `txn: ${end - at} bytes too many`
  }

  /** Before the first step of a branch. It is the same cursor every time: one walk at a time. */
  stepsOf(branch: 'success' | 'failure'): StepCursor {
    return branch === 'success'
      ? this.#steps.begin(this.successAt, this.success)
      : this.#steps.begin(this.failureAt, this.failure)
  }

  #stepsEnd(b: Uint8Array, at: number, end: number, count: number, timed: boolean): number | string {
    let writes = 0
    for (let i = 0; i < count; i++) {
      if (at >= end) return 'txn: step is cut off'
      const kind = b[at]!
      if (kind < STEP_PUT || kind > STEP_PUT_LASTING) return `txn: unknown step ${kind}`
      const afterKey = keyEnd(b, at + 1, end, 'txn: key of a step')
      if (typeof afterKey === 'string') return afterKey
      if (kind !== STEP_GET) {
        if (writes++ === 0) this.#written.fill(0)
        if (this.#isWritten(b, at + 1, afterKey)) return 'txn: a key is written twice'
      }
      at = afterKey
      if (kind === STEP_PUT_LASTING) {
        const why = this.#lifetimeProblem(b, at, end, timed)
        if (why !== undefined) return why
        at += LIFETIME_BYTES
      }
      if (kind === STEP_DELETE || kind === STEP_GET) continue
      const after = valueEnd(b, at, end)
      if (typeof after === 'string') return after
      at = after
    }
    return at
  }

  #lifetimeProblem(b: Uint8Array, at: number, end: number, timed: boolean): string | undefined {
    const ttlMs = wholeNumber(b, at, end)
    if (ttlMs < 0 || ttlMs > MAX_TTL_MS) return `txn: ttl of ${ttlMs} ms is not between 1 ms and ten years`
    // Its record would not be stamped with the time at which it arrived.
    if (ttlMs > 0 && !timed) return 'txn: a ttl in a transaction that does not depend on the time'
    const session = wholeNumber(b, at + 8, end)
    if (session < 0) return 'txn: session is no id'
    if (ttlMs === 0 && session === 0) return 'txn: a step with a lifetime has neither a ttl nor a session'
    if (session > 0) this.bindsKeys = true
    return undefined
  }

  /** Whether the branch has written the key before; from now on it has. */
  #isWritten(b: Uint8Array, at: number, end: number): boolean {
    const written = this.#written
    for (let slot = hashKey(b, at + 2, end) & (SLOTS - 1); ; slot = (slot + 1) & (SLOTS - 1)) {
      const other = written[slot]! - 1
      if (other < 0) {
        written[slot] = at + 1
        return false
      }
      if (compareBytes(b, at + 2, end, b, other + 2, other + 2 + readU16(b, other)) === 0) return true
    }
  }
}

function tooManyParts(parts: number): string {
  return `txn has at least ${parts} comparisons and steps, above the limit of ${MAX_TXN_PARTS}`
}

function comparisonEnd(b: Uint8Array, at: number, end: number): number | string {
  if (at >= end) return 'txn: comparison is cut off'
  const relation = b[at]!
  if (relation < EXISTS || relation > VALUE_NOT_EQUAL) return `txn: unknown relation ${relation}`
  const afterKey = keyEnd(b, at + 1, end, 'txn: key of a comparison')
  if (typeof afterKey === 'string' || relation <= MISSING) return afterKey
  if (relation >= VALUE_EQUAL) return valueEnd(b, afterKey, end)
  if (afterKey + 8 > end) return 'txn: version is cut off'
  if (readU32(b, afterKey + 4) > 0x1f_ffff) return 'txn: version is above 2^53'
  return afterKey + 8
}

function valueEnd(b: Uint8Array, at: number, end: number): number | string {
  if (at + 4 > end) return 'txn: value is cut off'
  const length = readU32(b, at)
  if (length > MAX_VALUE_BYTES) return `txn: value of ${length} bytes is above the limit of ${MAX_VALUE_BYTES}`
  return at + 4 + length > end ? 'txn: value is cut off' : at + 4 + length
}
