// The operations of locks as bytes; operations.ts has their layouts and takes them apart.
import { Writer, type Index } from '@coppice/protocol'
import { writeKey } from './operation-parts.js'
import { OP_ACQUIRE, OP_RELEASE, OP_RENEW } from './operations.js'

/**
 * The owner is 1–64 bytes that name this one holding, so that a retry is told from another's attempt. `session`: with whose end its place lapses
 * when the lock is busy; 0: do not queue. `value`: what the holder says of itself.
 */
export function encodeAcquire(
  lock: Uint8Array,
  owner: Uint8Array,
  ttlMs: number,
  session: Index,
  value?: Uint8Array,
): Uint8Array {
  const w = lockOperation(OP_ACQUIRE, lock, owner)
  w.u53(session)
  w.u32(ttlMs)
  writeValue(w, value)
  return w.view()
}

/**
 * Confirms a grant, or prolongs a holding. `ttlMs` 0 ends it as if it had expired: the next holder learns that it was not released. `value`
 * replaces what the holder has said of itself; undefined: that stays.
 */
export function encodeRenew(
  lock: Uint8Array,
  owner: Uint8Array,
  fence: Index,
  ttlMs: number,
  value?: Uint8Array,
): Uint8Array {
  const w = lockOperation(OP_RENEW, lock, owner)
  w.u53(fence)
  w.u32(ttlMs)
  writeValue(w, value)
  return w.view()
}

/**
 * Gives the lock back, or this owner's place in the queue, which it has with `session` (0: it has none). `fence` 0: by an owner that does not know
 * whether it got the lock; one that was taken from expired then stays expired, because nobody has looked at what its former holder left.
 */
export function encodeRelease(lock: Uint8Array, owner: Uint8Array, fence: Index, session: Index = 0): Uint8Array {
  const w = lockOperation(OP_RELEASE, lock, owner)
  w.u53(fence)
  w.u53(session)
  return w.view()
}

/** No holding has it. */
const NO_FENCE = Number.MAX_SAFE_INTEGER

/** The operation that gives up the place which this owner has with the session, and no holding. */
export function encodeLeave(lock: Uint8Array, owner: Uint8Array, session: Index): Uint8Array {
  return encodeRelease(lock, owner, NO_FENCE, session)
}

function lockOperation(kind: number, lock: Uint8Array, owner: Uint8Array): Writer {
  const w = new Writer(32 + lock.length + owner.length)
  w.u8(kind)
  writeKey(w, lock)
  w.u8(owner.length)
  w.raw(owner)
  return w
}

function writeValue(w: Writer, value: Uint8Array | undefined): void {
  w.u8(value === undefined ? 0 : 1)
  if (value !== undefined) w.raw(value)
}
