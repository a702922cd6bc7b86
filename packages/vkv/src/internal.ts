// What this repository's own programs (the simulator, its stories, the tests) take from inside the store. It may change at any time.
export { decodeSession } from './core/session-table.js'
export { decodeLock } from './core/lock-record.js'
export { GRANT_MS } from './core/lock-table.js'
export { OP_COND_PUT, OP_PUT, ParsedOperation } from './core/operations.js'
export {
  OP_END_SESSION,
  OP_KEEP_ALIVE,
  OP_OPEN_SESSION,
  encodeEndSession,
  encodeKeepAlive,
  encodeOpenSession,
} from './core/session-operations.js'
export { QUERY_GET_MANY, TABLE_SESSIONS } from './core/queries.js'
export {
  decodeAcquireReply,
  decodeDone,
  decodeKeepAliveReply,
  decodeOpenReply,
  FULL_IDEMPOTENCY_KEYS,
  FULL_SESSION_KEYS,
} from './core/replies.js'
export {
  KEEP_DONE,
  KEEP_REVOKED,
  KEEP_UNKNOWN,
  LEASE_GRANTED,
  LEASE_NEVER,
  LEASE_REFUSED,
  LEASE_UNKNOWN,
  decodeCacheOpened,
  decodeKeepReply,
  decodeLeaseReply,
  encodeCacheClose,
  encodeCacheDrop,
  encodeCacheForget,
  encodeCacheKeep,
  encodeCacheLease,
  encodeCacheOpen,
} from './core/cache-operations.js'
export {
  CHANGE_LOCK_FREE,
  CHANGE_LOCK_GRANTED,
  CHANGE_LOCK_HELD,
  CHANGE_LOCK_LEFT,
  CHANGE_LOCK_QUEUED,
  CHANGE_SESSION_END,
  END_CLOSED,
  END_EXPIRED,
  END_REVOKED,
  STREAM_LOCKS,
  STREAM_SESSIONS,
  decodeLockChange,
  writeLockTopic,
} from './core/changes.js'
export {
  type Comparison,
  EXISTS,
  MAX_TXN_BYTES,
  MAX_TXN_PARTS,
  MISSING,
  OP_TXN,
  OP_TXN_TIMED,
  type Step,
  type TxnOperation,
  VALUE_EQUAL,
  VALUE_NOT_EQUAL,
  VERSION_ABOVE,
  VERSION_BELOW,
  VERSION_EQUAL,
  VERSION_NOT_EQUAL,
  encodeTxn,
} from './core/txn.js'
export { STEP_DELETE, STEP_GET, STEP_PUT, STEP_PUT_LASTING } from './core/step-cursor.js'
export { decodeTxnReply, TXN_DONE, type TxnReply } from './core/txn-reply.js'
export { encodeAcquire, encodeRelease, encodeRenew } from './core/lock-operations.js'
export { acquireLock, withLock } from './client/lock.js'
export { listLocks } from './client/locks.js'
export { safeSessionMs } from './client/session.js'
export { Bank } from './client/bank.js'
export { CRASH_POINTS } from './client/bank-records.js'
