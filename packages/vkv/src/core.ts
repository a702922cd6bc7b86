// The portable part of vKV: the state machine, its operations as bytes, and the clients over any clerk. Runs in the simulator unchanged.
export { KvMachine } from './core/kv-machine.js'
export type { Guard } from './core/operation-parts.js'
export { encodeCondPut, encodeDelete, encodePut, type Lifetime, type WriteConditions } from './core/operations.js'
export { encodeOnce, type Once } from './core/idempotency.js'
export {
  encodeCount,
  encodeGet,
  encodeGetMany,
  encodeRange,
  TABLE_KEYS,
  type KeySpan,
  type RangeQuery,
} from './core/queries.js'
export {
  decodeCountReply,
  decodeGetReply,
  decodeManyReply,
  decodeRangeReply,
  decodeWriteReply,
  type Found,
  type ManyReply,
  type RangeEntry,
  type RangeReply,
  type WriteReply,
} from './core/replies.js'
export { CHANGE_DELETE, CHANGE_EXPIRE, CHANGE_PUT, STREAM_KEYS } from './core/changes.js'
export type { AbortHandle, KvPorts } from './client/ports.js'
export type { Duration } from './client/duration.js'
export type { Codec } from './client/codecs.js'
export type { Options } from './client/budget.js'
export { InvalidValueError, type ValuePath } from './client/invalid-value.js'
export { Kv, textKv } from './client/kv.js'
export type {
  Conditional,
  ConditionalDelete,
  Deleted,
  DeleteOptions,
  KeyLike,
  KvEntry,
  LifetimeOptions,
  OnceOptions,
  PutOptions,
  RangeOptions,
  ReadOptions,
  SpanOptions,
  WriteOptions,
} from './client/kv-types.js'
export type { Page, Range } from './client/range.js'
export type { Watch, WatchEvent, WatchOptions } from './client/watch.js'
export type { Condition, Txn, TxnPart, TxnResult } from './client/txn.js'
export type { Branch, Written } from './client/txn-steps.js'
export type { Schema } from './client/typed.js'
export type { HeldLock, LockOptions } from './client/lock.js'
export type { LockInfo } from './client/locks.js'
export type { Session } from './client/session.js'
export type { SessionInfo, SessionOptions } from './client/sessions.js'
export type { ElectOptions, Leader, Leadership } from './client/election.js'
export type { Cache, CacheOptions } from './client/cache.js'
export type { Bank, BankOptions } from './client/bank.js'
export type { Audit, CrashPoint, TransferResult } from './client/bank-records.js'
export { Db, type ClosableClerk } from './client/db.js'
