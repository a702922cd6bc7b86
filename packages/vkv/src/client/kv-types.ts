// What users of the store give and get (PRODUCT SDK).
import type { Index } from '@coppice/protocol'
import type { Options } from './budget.js'

export type KeyLike = string | Uint8Array

export interface KvEntry<K, V> {
  readonly key: K
  readonly value: V
  /** Index of the operation that wrote it. */
  readonly version: Index
  /** Of stale reads: how long ago the replica last knew itself current, ms. */
  readonly ageMs?: number
}
export interface ReadOptions extends Options {
  readonly consistency?: 'linearizable' | 'stale' | undefined
  readonly from?: 'any' | 'primary' | undefined
}
export interface WriteOptions extends Options {
  /** Only if the key has this version; 0: only if it is missing. Then the answer says whether it had. */
  readonly ifVersion?: Index | undefined
}
export interface RangeOptions<K> extends ReadOptions {
  readonly prefix?: KeyLike | undefined
  /** Begin behind this key. */
  readonly after?: K | Uint8Array | undefined
  /** End after so many entries. */
  readonly limit?: number | undefined
  /** Entries asked for at once; each page is read at one index, the whole range is not. */
  readonly pageSize?: number | undefined
}
/** Outcome of a conditional write; `current` is what was there instead (undefined: nothing). */
export type Conditional<K, V> =
  | { readonly ok: true; readonly key: K; readonly value: V | undefined; readonly version: Index }
  | { readonly ok: false; readonly current: KvEntry<K, V> | undefined }

export interface Deleted {
  /** Whether there was anything to delete. */
  readonly existed: boolean
  readonly version: Index
}
export type ConditionalDelete<K, V> =
  ({ readonly ok: true } & Deleted) | { readonly ok: false; readonly current: KvEntry<K, V> | undefined }
