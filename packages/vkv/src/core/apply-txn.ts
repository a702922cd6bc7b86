// One transaction is applied (PROTOCOL 6, 9): guards and comparisons, then the gets of its branch, then its writes, all in one entry. A
// transaction whose reply could not be stored for its repetitions writes nothing and says so.
//
//   reply:   u8 0 · u53 index · u8 1 · u16 n · n × result                    all comparisons held
//            u8 0 · u53 index · u8 0 · u16 comparison · u16 n · n × result   this one is the first that did not
//            u8 1 · u8 guard · u53 fence  |  u8 2  |  u8 3 · u32 waitMs
//   result:  u8 kind · put, delete: u8 existed · get: u8 found · [u53 version · u32 n · value]
import { MAX_STORED_REPLY_BYTES, readU32, readU53, type Index, type Millis, type Writer } from '@coppice/protocol'
import type { ChangeSink } from '@coppice/replica'
import type { CacheLeases } from './cache-leases.js'
import { brokenGuard, writeBroken } from './lock-record.js'
import { readU16, writeU16 } from './operations.js'
import type { Table } from './table.js'
import {
  EXISTS,
  MISSING,
  STEP_DELETE,
  STEP_GET,
  STEP_PUT,
  VALUE_EQUAL,
  VALUE_NOT_EQUAL,
  VERSION_ABOVE,
  VERSION_BELOW,
  VERSION_EQUAL,
  VERSION_NOT_EQUAL,
  type ParsedTxn,
} from './txn.js'
import { TXN_BLOCKED, TXN_DONE, TXN_FENCED, TXN_REPLY_TOO_LARGE } from './txn-reply.js'

/**
 * The one way in which keys are written, by plain writes and by transactions. `handle`: what `find` of this key answered last. `ttlMs`, `session`:
 * 0: none; what the key had of them before is over.
 */
export interface KeyWriter {
  readonly keys: Table
  readonly locks: Table
  readonly caches: CacheLeases
  /** The log's time. */
  readonly elapsedMs: Millis
  putKey(
    handle: number,
    index: Index,
    b: Uint8Array,
    keyStart: number,
    keyEnd: number,
    valueStart: number,
    valueEnd: number,
    ttlMs: Millis,
    session: Index,
    changes: ChangeSink,
  ): void
  /** `handle` is not 0. */
  removeKey(handle: number, index: Index, b: Uint8Array, keyStart: number, keyEnd: number, changes: ChangeSink): void
}

export function applyTxn(
  txn: ParsedTxn,
  index: Index,
  b: Uint8Array,
  store: KeyWriter,
  out: Writer,
  changes: ChangeSink,
): void {
  const broken = brokenGuard(store.locks, b, txn.guardsAt, txn.guards)
  if (broken >= 0) {
    out.u8(TXN_FENCED)
    return writeBroken(store.locks, b, txn.guardsAt, broken, out)
  }
  const failed = firstFailed(txn, b, store.keys)
  const steps = failed < 0 ? txn.success : txn.failure
  const at = failed < 0 ? txn.successAt : txn.failureAt
  const start = out.length
  out.u8(TXN_DONE)
  out.u53(index)
  out.u8(failed < 0 ? 1 : 0)
  if (failed >= 0) writeU16(out, failed)
  writeU16(out, steps)
  if (!writeResults(b, at, steps, store.keys, out, start + MAX_STORED_REPLY_BYTES)) {
    out.length = start
    out.u8(TXN_REPLY_TOO_LARGE)
    return
  }
  const waitMs = store.caches.idle ? -1 : heldUpFor(b, at, steps, index, store, changes)
  if (waitMs >= 0) {
    out.length = start
    out.u8(TXN_BLOCKED)
    out.u32(Math.min(waitMs, 0xffff_ffff))
    return
  }
  writeKeys(b, at, steps, index, store, changes)
}

/** Number of the first comparison that does not hold; -1: all do. */
function firstFailed(txn: ParsedTxn, b: Uint8Array, keys: Table): number {
  let at = txn.comparisonsAt
  for (let i = 0; i < txn.comparisons; i++) {
    const relation = b[at]!
    const afterKey = at + 3 + readU16(b, at + 1)
    const handle = keys.find(b, at + 3, afterKey)
    if (!holds(relation, handle, b, afterKey, keys)) return i
    at = afterKey + (relation <= MISSING ? 0 : relation >= VALUE_EQUAL ? 4 + readU32(b, afterKey) : 8)
  }
  return -1
}

function holds(relation: number, handle: number, b: Uint8Array, operand: number, keys: Table): boolean {
  switch (relation) {
    case EXISTS:
      return handle !== 0
    case MISSING:
      return handle === 0
    case VALUE_EQUAL:
    case VALUE_NOT_EQUAL: {
      const start = operand + 4
      const equal = handle !== 0 && keys.valueEquals(handle, b, start, start + readU32(b, operand))
      return equal === (relation === VALUE_EQUAL)
    }
    default: {
      const version = handle === 0 ? 0 : keys.versionOf(handle)
      const other = readU53(b, operand)
      if (relation === VERSION_EQUAL) return version === other
      if (relation === VERSION_NOT_EQUAL) return version !== other
      return relation === VERSION_BELOW ? version < other : relation === VERSION_ABOVE && version > other
    }
  }
}

/** What the branch's steps answer, from the state before its writes; false: more bytes than up to `limit`. */
function writeResults(b: Uint8Array, at: number, steps: number, keys: Table, out: Writer, limit: number): boolean {
  for (let i = 0; i < steps; i++) {
    const kind = b[at]!
    const afterKey = at + 3 + readU16(b, at + 1)
    const handle = keys.find(b, at + 3, afterKey)
    out.u8(kind)
    out.u8(handle === 0 ? 0 : 1)
    if (kind === STEP_GET && handle !== 0) {
      const length = keys.valueLengthOf(handle)
      // Asked before it is copied: a thousand gets of large values must not fill the memory.
      if (out.length + 12 + length > limit) return false
      out.u53(keys.versionOf(handle))
      out.u32(length)
      keys.writeValue(handle, out)
    }
    at = kind === STEP_PUT ? afterKey + 4 + readU32(b, afterKey) : afterKey
  }
  return out.length <= limit
}

/** For how long leases of client caches on the keys to be written may hold all of them up; they are revoked. -1: not at all. */
function heldUpFor(
  b: Uint8Array,
  from: number,
  steps: number,
  index: Index,
  store: KeyWriter,
  changes: ChangeSink,
): Millis {
  const { caches, elapsedMs } = store
  let waitMs = -1
  // First all are revoked. Then, if the transaction must wait for one of them, none is leased again meanwhile.
  for (const settled of [false, true]) {
    let at = from
    for (let i = 0; i < steps; i++) {
      const kind = b[at]!
      const keyStart = at + 3
      const afterKey = keyStart + readU16(b, at + 1)
      at = kind === STEP_PUT ? afterKey + 4 + readU32(b, afterKey) : afterKey
      const writes = kind === STEP_PUT || (kind === STEP_DELETE && store.keys.find(b, keyStart, afterKey) !== 0)
      if (!writes) continue
      if (!settled) waitMs = Math.max(waitMs, caches.revoke(index, elapsedMs, b, keyStart, afterKey, changes))
      else if (waitMs < 0) caches.unmark(index, b, keyStart, afterKey)
      else caches.mark(index, elapsedMs, b, keyStart, afterKey)
    }
  }
  return waitMs
}

function writeKeys(
  b: Uint8Array,
  at: number,
  steps: number,
  index: Index,
  store: KeyWriter,
  changes: ChangeSink,
): void {
  for (let i = 0; i < steps; i++) {
    const kind = b[at]!
    const keyStart = at + 3
    const afterKey = keyStart + readU16(b, at + 1)
    at = kind === STEP_PUT ? afterKey + 4 + readU32(b, afterKey) : afterKey
    if (kind === STEP_GET) continue
    const handle = store.keys.find(b, keyStart, afterKey)
    if (kind === STEP_PUT) store.putKey(handle, index, b, keyStart, afterKey, afterKey + 4, at, 0, 0, changes)
    else if (kind === STEP_DELETE && handle !== 0) store.removeKey(handle, index, b, keyStart, afterKey, changes)
  }
}
