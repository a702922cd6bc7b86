// What vKV tells those who watch. The topic is the key (or the lock's name, or the session's id), the version of a change is its index.
//
//   keys:      put: value · delete, expire: nothing
//   sessions:  the topic is the id in eight bytes, big-endian; end: u8 why
//   caches:    the topic is the holder's id, likewise; revoked: the key
//   locks:     the topic is u16 n · name · owner, so that one owner or all of a lock can be watched; of who has it: u53 fence · u8 inherited ·
//              value of the holder; of places: nothing
import { Reader, type Index, type Writer } from '@coppice/protocol'
import { ID_BYTES, writeOrdered } from './agenda.js'

/** Stream of changes of keys. Topic: the key. */
export const STREAM_KEYS = 0
/** Stream of changes of locks. Topic: the lock's name. */
export const STREAM_LOCKS = 1
/** Stream of changes of sessions. Topic: the session's id. */
export const STREAM_SESSIONS = 2
/** Topic: the holder's id, 8 bytes, highest first. */
export const STREAM_CACHES = 3

/** Kind of change of a key: it has a value, which is the payload. */
export const CHANGE_PUT = 0
/** Kind of change of a key: it was deleted. */
export const CHANGE_DELETE = 1
/** Its ttl or its session ended. */
export const CHANGE_EXPIRE = 2

/** Kind of change of a cache: its lease on the key in the payload is revoked, a writer waits for it. */
export const LEASE_REVOKED = 0

/** Kinds of changes of sessions. */
export const CHANGE_SESSION_END = 0

/** Why a session ended. */
export const END_EXPIRED = 0
/** By its client. */
export const END_CLOSED = 1
/** By an operator. */
export const END_REVOKED = 2

/** The topic that the holder of this id watches. */
export function topicOfHolder(id: Index): Uint8Array {
  const topic = new Uint8Array(ID_BYTES)
  writeOrdered(topic, 0, id)
  return topic
}

/** Kinds of changes of locks. The owner holds it, or has said something new of itself. */
export const CHANGE_LOCK_HELD = 0
/** The lock was given to this waiter, which holds it once it confirms. */
export const CHANGE_LOCK_GRANTED = 1
/** Nobody has it any more; the owner is the one who had it. */
export const CHANGE_LOCK_FREE = 2
/** The owner has a place in the queue, behind all who have one. */
export const CHANGE_LOCK_QUEUED = 3
/** The owner's place is gone, and it was not given the lock. */
export const CHANGE_LOCK_LEFT = 4

/** The topic of one owner's changes of a lock. */
export function writeLockTopic(w: Writer, name: Uint8Array, owner: Uint8Array): void {
  w.u8(name.length)
  w.u8(name.length >>> 8)
  w.raw(name)
  w.raw(owner)
}

/** Of a change to who has the lock. */
export interface LockChange {
  readonly fence: Index
  /** The last one who held it did not release it. */
  readonly inherited: boolean
  /** A view. */
  readonly value: Uint8Array
}

export function decodeLockChange(payload: Uint8Array): LockChange {
  const r = new Reader(payload)
  return { fence: r.u53(), inherited: r.u8() === 1, value: r.rest() }
}
