// One transaction is applied (PROTOCOL 6, 9): guards and comparisons, then the gets of its branch, then its writes, all in one entry. Whatever
// refuses it, nothing of it is written: a broken guard, a reply that could not be stored for its repetitions, a session that has ended or
// is full, the leases of caches.
//
//   reply:   u8 0 · u53 index · u8 1 · u16 n · n × result                    all comparisons held
//            u8 0 · u53 index · u8 0 · u16 comparison · u16 n · n × result   this one is the first that did not
//            u8 1 · u8 guard · u53 fence  |  u8 2  |  u8 3 · u32 waitMs  |  u8 4 · u53 session  |  u8 5  |  u8 6 · u8 of what
//   result:  u8 kind · put, delete: u8 existed · get: u8 found · [u53 version · u32 n · value]
import { MAX_STORED_REPLY_BYTES, readU32, readU53, type Index, type Millis, type Writer } from '@coppice/protocol'
import type { ChangeSink } from '@coppice/replica'
import type { CacheLeases } from './cache-leases.js'
import { brokenGuard, writeBroken } from './lock-record.js'
import type { Lifetimes } from './lifetimes.js'
import { readU16, writeU16 } from './operation-parts.js'
import { FULL_SESSION_KEYS, refuseEnded, refuseFull } from './replies.js'
import type { SessionTable } from './session-table.js'
import { STEP_GET, STEP_PUT, type StepCursor } from './step-cursor.js'
import type { Table } from './table.js'
import {
  EXISTS,
  MISSING,
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
  readonly lifetimes: Lifetimes
  readonly sessions: SessionTable
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

/** Applies one that was parsed; answers whether its branch writes and was done, so that the reply is worth remembering. */
export function applyTxn(
  txn: ParsedTxn,
  index: Index,
  b: Uint8Array,
  store: KeyWriter,
  out: Writer,
  changes: ChangeSink,
): boolean {
  const broken = brokenGuard(store.locks, b, txn.guardsAt, txn.guards)
  if (broken >= 0) {
    out.u8(TXN_FENCED)
    writeBroken(store.locks, b, txn.guardsAt, broken, out)
    return false
  }
  const failed = firstFailed(txn, b, store.keys)
  const branch = failed < 0 ? 'success' : 'failure'
  const start = out.length
  out.u8(TXN_DONE)
  out.u53(index)
  out.u8(failed < 0 ? 1 : 0)
  if (failed >= 0) writeU16(out, failed)
  writeU16(out, txn[branch])
  if (!writeResults(txn.stepsOf(branch), b, store.keys, out, start + MAX_STORED_REPLY_BYTES)) {
    out.length = start
    out.u8(TXN_REPLY_TOO_LARGE)
    return false
  }
  if (txn.bindsKeys && sessionsRefuse(txn.stepsOf(branch), b, store, out, start)) return false
  const waitMs = store.caches.idle ? -1 : heldUpFor(txn, branch, index, b, store, changes)
  if (waitMs >= 0) {
    out.length = start
    out.u8(TXN_BLOCKED)
    out.u32(Math.min(waitMs, 0xffff_ffff))
    return false
  }
  return writeKeys(txn.stepsOf(branch), index, b, store, changes)
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
function writeResults(steps: StepCursor, b: Uint8Array, keys: Table, out: Writer, limit: number): boolean {
  while (steps.next(b)) {
    const handle = keys.find(b, steps.keyStart, steps.keyEnd)
    out.u8(steps.kind)
    out.u8(handle === 0 ? 0 : 1)
    if (steps.kind !== STEP_GET || handle === 0) continue
    const length = keys.valueLengthOf(handle)
    // Asked before it is copied: a thousand gets of large values must not fill the memory.
    if (out.length + 12 + length > limit) return false
    out.u53(keys.versionOf(handle))
    out.u32(length)
    keys.writeValue(handle, out)
  }
  return out.length <= limit
}

/**
 * Whether a session that a key is to be bound to has ended, or has no room for all keys that are new to it; then the reply from `start` on says
 * so. What the transaction itself takes from a session makes no room in it.
 */
function sessionsRefuse(steps: StepCursor, b: Uint8Array, store: KeyWriter, out: Writer, start: number): boolean {
  const { lifetimes, sessions } = store
  const added = new Map<Index, number>()
  while (steps.next(b)) {
    const { session } = steps
    if (session === 0) continue
    // Bound to a session that has ended it would never end.
    if (!sessions.has(session)) {
      out.length = start
      refuseEnded(out, session)
      return true
    }
    if (lifetimes.sessionOf(b, steps.keyStart, steps.keyEnd) === session) continue
    const more = (added.get(session) ?? 0) + 1
    if (!sessions.hasRoom(session, more)) {
      out.length = start
      refuseFull(out, FULL_SESSION_KEYS)
      return true
    }
    added.set(session, more)
  }
  return false
}

/** For how long leases of client caches on the keys to be written may hold all of them up; they are revoked. -1: not at all. */
function heldUpFor(
  txn: ParsedTxn,
  branch: 'success' | 'failure',
  index: Index,
  b: Uint8Array,
  store: KeyWriter,
  changes: ChangeSink,
): Millis {
  const { caches, elapsedMs } = store
  let waitMs = -1
  // First all are revoked. Then, if the transaction must wait for one of them, none is leased again meanwhile.
  for (const settled of [false, true]) {
    const steps = txn.stepsOf(branch)
    while (steps.next(b)) {
      const { kind, keyStart, keyEnd } = steps
      const writes = kind === STEP_PUT || (kind !== STEP_GET && store.keys.find(b, keyStart, keyEnd) !== 0)
      if (!writes) continue
      if (!settled) waitMs = Math.max(waitMs, caches.revoke(index, elapsedMs, b, keyStart, keyEnd, changes))
      else if (waitMs < 0) caches.unmark(index, b, keyStart, keyEnd)
      else caches.mark(index, elapsedMs, b, keyStart, keyEnd)
    }
  }
  return waitMs
}

/** Answers whether there was anything to do: a missing key to be deleted is. */
function writeKeys(steps: StepCursor, index: Index, b: Uint8Array, store: KeyWriter, changes: ChangeSink): boolean {
  let wrote = false
  while (steps.next(b)) {
    const { kind, keyStart, keyEnd, ttlMs, session } = steps
    if (kind === STEP_GET) continue
    wrote = true
    const handle = store.keys.find(b, keyStart, keyEnd)
    if (kind === STEP_PUT) {
      const { valueStart, valueEnd } = steps
      store.putKey(handle, index, b, keyStart, keyEnd, valueStart, valueEnd, ttlMs, session, changes)
    } else if (handle !== 0) store.removeKey(handle, index, b, keyStart, keyEnd, changes)
  }
  return wrote
}
