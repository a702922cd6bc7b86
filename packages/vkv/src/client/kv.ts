// The key-value store as its users see it (PRODUCT SDK), over any clerk. Plain writes are exactly-once through every retry and
// failover; expected outcomes are values, failures are CoppiceErrors.
import { CoppiceError, type Index } from '@coppice/protocol'
import type { ClerkLike } from '@coppice/clerk/core'
import type { Guard } from '../core/operation-parts.js'
import { encodeCondPut, encodeDelete, encodePut } from '../core/operations.js'
import { encodeGet, encodeGetMany, MAX_MANY } from '../core/queries.js'
import { decodeGetReply, decodeManyReply, decodeWriteReply, type Found, type WriteReply } from '../core/replies.js'
import { Budget, type Options } from './budget.js'
import { bytesCodec, checkFunction, invalid, jsonCodec, kindOf, textCodec, type Codec } from './codecs.js'
import { fencedError } from './fenced.js'
import { HeldUp } from './held-up.js'
import { HotPath } from './hot-path.js'
import { checkOptions, KNOWN } from './known-options.js'
import {
  readOptions,
  type Conditional,
  type ConditionalDelete,
  type Deleted,
  type DeleteOptions,
  type KeyLike,
  type KvEntry,
  type OnceOptions,
  type PutOptions,
  type RangeOptions,
  type ReadOptions,
  type SpanOptions,
  type WriteOptions,
} from './kv-types.js'
import type { KvPorts } from './ports.js'
import { countOf, rangeOf, type Range } from './range.js'
import { Txn, type TxnPart } from './txn.js'
import { schemaCodec, type Schema } from './typed.js'
import { View } from './view.js'
import { Watch, type WatchOptions } from './watch.js'
import { isPlain, lifetimeOf, refusal, underKey } from './write-options.js'

export type * from './kv-types.js'

/** What was done, or why not. */
type Written = Extract<WriteReply, { kind: 'ok' | 'mismatch' }>

/** The store with keys of type K and values of type V. Every call fails with a CoppiceError; what is expected is a value. */
export class Kv<K = string, V = string> {
  readonly #clerk: ClerkLike
  readonly #ports: KvPorts
  readonly #view: View<K, V>
  readonly #guards: readonly Guard[]
  readonly #hot: HotPath<K, V>

  constructor(clerk: ClerkLike, ports: KvPorts, view: View<K, V>, guards: readonly Guard[] = []) {
    this.#clerk = clerk
    this.#ports = ports
    this.#view = view
    this.#guards = guards
    this.#hot = new HotPath(clerk, view, ({ key, value }, budget) => {
      const written = this.#putAll(key, value, {}, budget ?? this.#budget(undefined))
      return written as Promise<KvEntry<K, V>>
    })
  }

  /** How keys and values of this store lie in the store. */
  get view(): View<K, V> {
    return this.#view
  }

  /** The same store with bytes for keys and values. */
  get bytes(): Kv<Uint8Array, Uint8Array> {
    return this.#viewed(bytesCodec, bytesCodec)
  }
  /** The same store with JSON values. */
  json<T>(): Kv<K, T> {
    return this.with(jsonCodec<T>(this.#ports.text))
  }
  /** The same store with values of another type. */
  with<T>(values: Codec<T>): Kv<K, T> {
    return this.#viewed(this.#view.keys, values)
  }
  /**
   * The same store with JSON values that `schema` vouches for when they are written and when they are read; it may be zod's, or anything with
   * `parse`. `prefix` stands before every key and is not seen. Calls fail with an InvalidValueError that names the key and the place.
   */
  typed<T>(schema: Schema<T>, options: { readonly prefix?: string | undefined } = {}): Kv<K, T> {
    return this.#viewed(this.#view.keys, schemaCodec(schema, this.#ports.text), options.prefix)
  }
  /** The same store; its writes fail with FENCED once any of these locks has another fence. */
  guarded(guards: readonly Guard[]): Kv<K, V> {
    return new Kv(this.#clerk, this.#ports, this.#view, [...this.#guards, ...guards])
  }

  #viewed<K2, V2>(keys: Codec<K2>, values: Codec<V2>, prefix = ''): Kv<K2, V2> {
    const view = new View(this.#ports.text, keys, values, this.#view.prefix + prefix)
    return new Kv(this.#clerk, this.#ports, view, this.#guards)
  }

  // Not an async function, nor is `put`: these would cost as much again as the call.
  /** The key's value; undefined: it is missing. Linearizable at any replica, unless `consistency` is `stale`. Errors: those of any read. */
  get(key: K | KeyLike, options?: ReadOptions): Promise<V | undefined> {
    try {
      checkOptions(options, KNOWN.read, 'get')
      return this.#hot.get(key, options === undefined ? undefined : readOptions(this.#budget(options), options))
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  /** The same with the version; of a stale read also how old it may be, ms. */
  async getEntry(key: K | KeyLike, options?: ReadOptions): Promise<KvEntry<K, V> | undefined> {
    checkOptions(options, KNOWN.read, 'getEntry')
    const bytes = this.#view.key(key)
    const answer = await this.#clerk.readAnswer(encodeGet(bytes), readOptions(this.#budget(options), options))
    const found = decodeGetReply(answer.bytes)
    if (found === undefined) return undefined
    const entry = this.#view.entry(bytes, found)
    return options?.consistency === 'stale' ? { ...entry, ageMs: answer.ageMs } : entry
  }

  /** Values in the order of the keys; undefined for missing ones. Read at one index while the answer is below 1 MiB. */
  async getMany(keys: readonly (K | KeyLike)[], options?: ReadOptions): Promise<(V | undefined)[]> {
    const values: (V | undefined)[] = []
    await this.#readMany(keys, options, (key, found) =>
      values.push(found === undefined ? undefined : this.#view.decode(key, found.value)),
    )
    return values
  }

  /** The same with versions, and the age of stale answers. */
  async getEntries(keys: readonly (K | KeyLike)[], options?: ReadOptions): Promise<(KvEntry<K, V> | undefined)[]> {
    const entries: (KvEntry<K, V> | undefined)[] = []
    const isStale = options?.consistency === 'stale'
    await this.#readMany(keys, options, (key, found, ageMs) => {
      const entry = found === undefined ? undefined : this.#view.entry(key, found)
      entries.push(entry !== undefined && isStale ? { ...entry, ageMs } : entry)
    })
    return entries
  }

  async #readMany(
    keys: readonly (K | KeyLike)[],
    options: ReadOptions | undefined,
    take: (key: Uint8Array, found: Found | undefined, ageMs: number) => void,
  ): Promise<void> {
    if (!Array.isArray(keys)) throw invalid(`getMany: a list of keys is wanted, not ${kindOf(keys)}`)
    checkOptions(options, KNOWN.read, 'getMany')
    const budget = this.#budget(options)
    const encoded = keys.map((key) => this.#view.key(key))
    for (let at = 0; at < encoded.length;) {
      const query = encodeGetMany(encoded.slice(at, at + MAX_MANY))
      const { bytes, ageMs } = await this.#clerk.readAnswer(query, readOptions(budget, options))
      const reply = decodeManyReply(bytes)
      if (reply.kind === 'fenced') throw new CoppiceError('getMany: answered for guards that were not sent', INTERNAL)
      for (const found of reply.entries) take(encoded[at++]!, found, ageMs)
    }
  }

  /** Entries in the order of the keys' bytes: `for await (const entry of kv.range({ prefix }))`, or page by page with `pages()`. */
  range(options: RangeOptions<K> = {}): Range<KvEntry<K, V>> {
    return rangeOf(this.#clerk, this.#ports, this.#view, options, false, (entry) => this.#view.entry(entry.key, entry))
  }

  /** Keys only; values do not travel. */
  keys(options: RangeOptions<K> = {}): Range<K> {
    return rangeOf(this.#clerk, this.#ports, this.#view, options, true, (entry) => this.#view.userKey(entry.key))
  }

  /** Number of keys at one index. It waits until everything that its replica holds is committed. */
  count(options: SpanOptions<K> & ReadOptions = {}): Promise<number> {
    return countOf(this.#clerk, this.#ports, this.#view, options)
  }

  /**
   * Tells of every committed change of the keys that begin with `prefix` (none: all keys; `exact`: this very key), once and in order. It has
   * begun when this returns, and what comes behind its first `sync` event is complete. A page of a range has the `index` from which a watch
   * goes on without a gap. Up to 1 MiB of changes wait to be taken.
   */
  watch(prefix?: K | KeyLike, options: WatchOptions = {}): Watch<K, V> {
    checkOptions(options, KNOWN.watch, 'watch')
    const topic = options.exact === true ? this.#view.key(prefix ?? '') : this.#view.bound(prefix ?? '')
    return new Watch(this.#clerk, this.#ports, this.#view, topic, options)
  }

  /** Several keys in one operation: compare, then write and read, all or nothing. Nothing is sent before its `commit`. */
  txn(): Txn<K, V> {
    return new Txn(this.#ports, this.part)
  }
  /** This view, as a transaction takes it (`Txn.in`). */
  get part(): TxnPart<K, V> {
    return { clerk: this.#clerk, view: this.#view, guards: this.#guards }
  }

  /**
   * Writes the value, exactly once; resolves when it is on the disks of all members. Errors: TOO_LARGE, INVALID_ARGUMENT, FENCED, SESSION_ENDED,
   * IDEMPOTENCY_CONFLICT and those of any write, whose `outcome` says whether it was applied. With `ifVersion` the answer says what is there instead.
   */
  put(key: K | KeyLike, value: V | Uint8Array, options: WriteOptions & { ifVersion: Index }): Promise<Conditional<K, V>>
  put(key: K | KeyLike, value: V | Uint8Array, options?: PutOptions): Promise<KvEntry<K, V>>
  put(key: K | KeyLike, value: V | Uint8Array, options?: WriteOptions): Promise<KvEntry<K, V> | Conditional<K, V>> {
    try {
      checkOptions(options, KNOWN.put, 'put')
      if (this.#guards.length > 0 || (options !== undefined && !isPlain(options))) return this.#put(key, value, options)
      const budget = options === undefined ? undefined : this.#budget(options)
      return this.#hot.put(key, value, budget) ?? this.#put(key, value, options)
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  async #put(
    key: K | KeyLike,
    value: V | Uint8Array,
    options: WriteOptions = {},
  ): Promise<KvEntry<K, V> | Conditional<K, V>> {
    return this.#putAll(key, value, options, this.#budget(options))
  }

  async #putAll(
    key: K | KeyLike,
    value: V | Uint8Array,
    options: WriteOptions,
    budget: Budget,
  ): Promise<KvEntry<K, V> | Conditional<K, V>> {
    checkVersion(options.ifVersion)
    const bytes = this.#view.key(key)
    const encoded = this.#view.value(bytes, value, 'value')
    const conditions = { ifVersion: options.ifVersion, guards: this.#guards }
    const operation = underKey(encodePut(bytes, encoded, conditions, lifetimeOf(options)), options, this.#ports.text)
    const reply = await this.#write(operation, budget, 'put')
    if (reply.kind === 'mismatch') return this.#mismatch(bytes, reply.current)
    const written = {
      key: this.#view.userKey(bytes),
      value: value instanceof Uint8Array ? this.#view.decode(bytes, writtenOf(operation, encoded), 'applied') : value,
    }
    if (options.ifVersion === undefined) return { ...written, version: reply.version }
    return { ok: true, ...written, version: reply.version }
  }

  /** Deletes the key, exactly once; a missing one is none of its errors, which are those of `put`. */
  delete(key: K | KeyLike, options: DeleteOptions & { ifVersion: Index }): Promise<ConditionalDelete<K, V>>
  delete(key: K | KeyLike, options?: Options & OnceOptions): Promise<Deleted>
  async delete(key: K | KeyLike, options: DeleteOptions = {}): Promise<Deleted | ConditionalDelete<K, V>> {
    checkOptions(options, KNOWN.delete, 'delete')
    checkVersion(options.ifVersion)
    const bytes = this.#view.key(key)
    const conditions = { ifVersion: options.ifVersion, guards: this.#guards }
    const operation = underKey(encodeDelete(bytes, conditions), options, this.#ports.text)
    const reply = await this.#write(operation, this.#budget(options), 'delete')
    if (reply.kind === 'mismatch') return this.#mismatch(bytes, reply.current)
    const done = { existed: reply.existed, version: reply.version }
    return options.ifVersion === undefined ? done : { ok: true, ...done }
  }

  /** If the key's value is `expected` (undefined: missing), make it `next` (undefined: delete it). */
  async condPut(
    key: K | KeyLike,
    expected: V | Uint8Array | undefined,
    next: V | Uint8Array | undefined,
    options: PutOptions = {},
  ): Promise<Conditional<K, V>> {
    checkOptions(options, KNOWN.update, 'condPut')
    const bytes = this.#view.key(key)
    const from = expected === undefined ? undefined : this.#view.value(bytes, expected, 'expected value')
    const to = next === undefined ? undefined : this.#view.value(bytes, next, 'value')
    const condPut = encodeCondPut(bytes, from, to, this.#guards, lifetimeOf(options))
    const operation = underKey(condPut, options, this.#ports.text)
    const reply = await this.#write(operation, this.#budget(options), 'condPut')
    if (reply.kind === 'mismatch') return this.#mismatch(bytes, reply.current)
    const value = to === undefined ? undefined : this.#view.decode(bytes, writtenOf(operation, to), 'applied')
    return { ok: true, key: this.#view.userKey(bytes), value, version: reply.version }
  }

  /** Makes the value f(present value), whatever others write meanwhile; undefined from f deletes the key, or leaves it missing. */
  async update(
    key: K | KeyLike,
    f: (value: V | undefined) => V | undefined,
    options: PutOptions = {},
  ): Promise<KvEntry<K, V> | undefined> {
    checkFunction(f, 'update')
    checkOptions(options, KNOWN.update, 'update')
    const budget = this.#budget(options)
    const bytes = this.#view.key(key)
    const lifetime = lifetimeOf(options)
    for (;;) {
      const found = decodeGetReply(await this.#clerk.read(encodeGet(bytes), budget.next('update')))
      const next = f(found === undefined ? undefined : this.#view.decode(bytes, found.value))
      if (next === undefined && found === undefined) return undefined
      const conditions = { ifVersion: found?.version ?? 0, guards: this.#guards }
      const operation =
        next === undefined
          ? encodeDelete(bytes, conditions)
          : encodePut(bytes, this.#view.value(bytes, next, 'value'), conditions, lifetime)
      const reply = await this.#write(underKey(operation, options, this.#ports.text, true), budget, 'update')
      if (reply.kind === 'mismatch') continue
      // Done before, with what f made then.
      const { version, before } = reply
      if (before !== undefined)
        return before.value && this.#view.entry(bytes, { version, value: before.value }, 'applied')
      return next === undefined ? undefined : { key: this.#view.userKey(bytes), value: next, version }
    }
  }

  /** Submits a write; a broken guard is the FENCED error, a refusal one of its own. Waits for the leases of caches on the key to end. */
  async #write(operation: Uint8Array, budget: Budget, what: string): Promise<Written> {
    const held = new HeldUp(budget)
    for (;;) {
      let bytes: Uint8Array
      try {
        bytes = await this.#clerk.submit(operation, budget.next(what))
      } catch (error) {
        // Only the answer of a failed comparison is ever too large to be kept, because it holds the present value: nothing was
        // written, so the comparison is made again under a new request (PROTOCOL 6).
        if (error instanceof CoppiceError && error.code === 'TOO_LARGE' && error.outcome === 'applied') continue
        throw error
      }
      const reply = decodeWriteReply(bytes)
      if (reply.kind === 'blocked') {
        await held.pause(reply.waitMs, what)
        continue
      }
      if (reply.kind === 'ok' || reply.kind === 'mismatch') return reply
      if (reply.kind !== 'fenced') throw refusal(reply, what, budget.tried)
      throw fencedError(this.#ports.text, what, this.#guards[reply.guard]!, reply.fence, budget.tried)
    }
  }

  #mismatch(key: Uint8Array, current: Found | undefined): { ok: false; current: KvEntry<K, V> | undefined } {
    return { ok: false, current: current === undefined ? undefined : this.#view.entry(key, current) }
  }

  #budget(options: Options | undefined): Budget {
    return new Budget(this.#clerk, this.#ports, options)
  }
}

const INTERNAL = { code: 'INTERNAL', outcome: 'unknown' } as const

function checkVersion(ifVersion: Index | undefined): void {
  if (ifVersion === undefined || (Number.isSafeInteger(ifVersion) && ifVersion >= 0)) return
  throw invalid(`ifVersion is ${JSON.stringify(ifVersion)}, not a version`)
}

/** The value as it was written, which is the operation's end: the caller may have written over its own bytes since. */
function writtenOf(operation: Uint8Array, value: Uint8Array): Uint8Array {
  // Of a Buffer it is a Buffer.
  const { [Symbol.species]: Like } = value.constructor as unknown as Record<symbol, Uint8ArrayConstructor>
  return new Like!(operation.buffer, operation.byteOffset + operation.length - value.length, value.length)
}

/** The store with strings for keys and values. */
export function textKv(clerk: ClerkLike, ports: KvPorts): Kv {
  return new Kv(clerk, ports, new View(ports.text, textCodec(ports.text), textCodec(ports.text), ''))
}
