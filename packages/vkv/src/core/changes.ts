// What vKV tells those who watch. The topic is the key (or the lock's name, or the session's id), the version of a change is its index.
//
//   keys:      put: value · delete, expire: nothing
//   sessions:  the topic is the id in eight bytes, big-endian; end: u8 why
//   caches:    the topic is the holder's id, likewise; revoked: the key
import type { Index } from '@coppice/protocol'
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
