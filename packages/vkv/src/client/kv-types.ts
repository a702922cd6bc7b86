// What users of the store give and get (PRODUCT SDK).
import type { Index } from '@coppice/protocol'
import type { ReadOptions as ClerkReadOptions } from '@coppice/clerk/core'
import type { Budget, Options } from './budget.js'
import { invalid } from './codecs.js'
import type { Duration } from './duration.js'

/** Keys that every view of the store takes. */
export type KeyLike = string | Uint8Array

/** A key with its value and the value's version. */
export interface KvEntry<K, V> {
  readonly key: K
  readonly value: V
  /** Index of the operation that wrote it. */
  readonly version: Index
  /** Of stale reads: how long ago the replica last knew itself current, ms. */
  readonly ageMs?: number
}
/** Of one read. */
export interface ReadOptions extends Options {
  readonly consistency?: 'linearizable' | 'stale' | undefined
  readonly from?: 'any' | 'primary' | undefined
}
/** When a written key ends by itself. A write that names neither makes a key that stays. */
export interface LifetimeOptions {
  /** The key is gone so long after the call at the earliest, and one tick (10 ms) later at the latest while its group has a primary. */
  readonly ttl?: Duration | undefined
  /** The key is gone when this session ends. SESSION_ENDED if it has. */
  readonly session?: { readonly id: Index } | Index | undefined
}
/** Makes a write happen once, whoever asks for it how often, also from another process. */
export interface OnceOptions {
  /**
   * The caller's own name for this write, up to 128 bytes: who repeats the write with it gets the first one's answer, and nothing is written twice.
   * IDEMPOTENCY_CONFLICT if it was used for another write; one under another lock or session is another. What was not written (a failed comparison, an
   * error) is not remembered.
   */
  readonly idempotencyKey?: string | Uint8Array | undefined
  /** For how long it is remembered. Default 24 h. */
  readonly idempotencyTtl?: Duration | undefined
}
/** Of writes whose key gets a value. */
export interface PutOptions extends Options, LifetimeOptions, OnceOptions {}
/** Of one delete. */
export interface DeleteOptions extends Options, OnceOptions {
  /** Only if the key has this version. Then the answer says whether it had. */
  readonly ifVersion?: Index | undefined
}
/** Of one write. */
export interface WriteOptions extends PutOptions {
  /** Only if the key has this version; 0: only if it is missing. Then the answer says whether it had. */
  readonly ifVersion?: Index | undefined
}
/** Which keys: all bounds that are given hold together. */
export interface SpanOptions<K> {
  readonly prefix?: KeyLike | undefined
  /** From this key on. */
  readonly start?: K | KeyLike | undefined
  /** Behind this key. */
  readonly after?: K | KeyLike | undefined
  /** Before this key. */
  readonly end?: K | KeyLike | undefined
}
/** Of a scan in the order of the keys' bytes. */
export interface RangeOptions<K> extends SpanOptions<K>, ReadOptions {
  /** End after so many entries. */
  readonly limit?: number | undefined
  /** The last keys first. */
  readonly reverse?: boolean | undefined
  /** Entries asked for at once, at most 16,384; default 1,000. Each page is read at one index, the whole range is not. */
  readonly pageSize?: number | undefined
}
/** Outcome of a conditional write; `current` is what was there instead (undefined: nothing). */
export type Conditional<K, V> =
  | { readonly ok: true; readonly key: K; readonly value: V | undefined; readonly version: Index }
  | { readonly ok: false; readonly current: KvEntry<K, V> | undefined }

/** What a delete came to. */
export interface Deleted {
  /** Whether there was anything to delete. */
  readonly existed: boolean
  readonly version: Index
}
/** What a conditional delete came to; `current` is what was found instead. */
export type ConditionalDelete<K, V> =
  ({ readonly ok: true } & Deleted) | { readonly ok: false; readonly current: KvEntry<K, V> | undefined }

/** What a clerk must know of a read; throws TIMEOUT when the time is up, and INVALID_ARGUMENT. */
export function readOptions(budget: Budget, options: ReadOptions | undefined): ClerkReadOptions {
  const { consistency, from } = options ?? {}
  if (consistency !== undefined && consistency !== 'stale' && consistency !== 'linearizable')
    throw invalid(`consistency is ${JSON.stringify(consistency)}, not 'linearizable' or 'stale'`)
  if (from !== undefined && from !== 'any' && from !== 'primary')
    throw invalid(`from is ${JSON.stringify(from)}, not 'any' or 'primary'`)
  const { signal, timeoutMs } = budget.next('read')
  return { signal, timeoutMs, from, stale: consistency === 'stale' }
}
