// The key-value store as its users see it (PRODUCT SDK), over any clerk. Plain writes are exactly-once through every retry and
// failover; expected outcomes are values, failures are CoppiceErrors.
import { CoppiceError, EMPTY_BYTES, type Index } from '@coppice/protocol'
import type { ClerkLike, ReadOptions as ClerkReadOptions } from '@coppice/clerk/core'
import { encodeCondPut, encodeDelete, encodePut, type Guard } from '../core/operations.js'
import { encodeGet, encodeGetMany, encodeRange, MAX_MANY, TABLE_KEYS } from '../core/queries.js'
import {
  decodeGetReply,
  decodeManyReply,
  decodeRangeReply,
  decodeWriteReply,
  type Found,
  type WriteReply,
} from '../core/replies.js'
import { Budget, type Options } from './budget.js'
import {
  asBytes,
  bytesCodec,
  checkKey,
  checkValue,
  encodeWith,
  jsonCodec,
  shown,
  textCodec,
  type Codec,
} from './codecs.js'
import { HotPath } from './hot-path.js'
import type {
  Conditional,
  ConditionalDelete,
  Deleted,
  DeleteOptions,
  KeyLike,
  KvEntry,
  OnceOptions,
  PutOptions,
  RangeOptions,
  ReadOptions,
  WriteOptions,
} from './kv-types.js'
import type { KvPorts } from './ports.js'
import { isPlain, lifetimeOf, refusal, underKey } from './write-options.js'

export type * from './kv-types.js'

const DEFAULT_PAGE = 1_000
/** Between two attempts of a write that caches' leases hold up, ms. */
const FIRST_WAIT_MS = 2
const MAX_WAIT_MS = 50

type Written = Extract<WriteReply, { kind: 'ok' | 'mismatch' }>

export class Kv<K = string, V = string> {
  readonly #clerk: ClerkLike
  readonly #ports: KvPorts
  readonly #keys: Codec<K>
  readonly #values: Codec<V>
  readonly #guards: readonly Guard[]
  readonly #hot: HotPath<K, V>

  constructor(clerk: ClerkLike, ports: KvPorts, keys: Codec<K>, values: Codec<V>, guards: readonly Guard[] = []) {
    this.#clerk = clerk
    this.#ports = ports
    this.#keys = keys
    this.#values = values
    this.#guards = guards
    this.#hot = new HotPath(clerk, ports.text, keys, values, ({ key, value }, budget) => {
      const written = this.#putAll(key, value, {}, budget ?? this.#budget(undefined))
      return written as Promise<KvEntry<K, V>>
    })
  }

  /** The same store with bytes for keys and values. */
  get bytes(): Kv<Uint8Array, Uint8Array> {
    return new Kv(this.#clerk, this.#ports, bytesCodec, bytesCodec, this.#guards)
  }
  /** The same store with JSON values. */
  json<T>(): Kv<K, T> {
    return new Kv(this.#clerk, this.#ports, this.#keys, jsonCodec<T>(this.#ports.text), this.#guards)
  }
  /** The same store with values of another type. */
  with<T>(values: Codec<T>): Kv<K, T> {
    return new Kv(this.#clerk, this.#ports, this.#keys, values, this.#guards)
  }
  /** The same store; its writes fail with FENCED once any of these locks has another fence. */
  guarded(guards: readonly Guard[]): Kv<K, V> {
    return new Kv(this.#clerk, this.#ports, this.#keys, this.#values, [...this.#guards, ...guards])
  }

  // Not an async function, nor is `put`: these would cost as much again as the call.
  get(key: K | KeyLike, options?: ReadOptions): Promise<V | undefined> {
    try {
      return this.#hot.get(key, options === undefined ? undefined : readOptions(this.#budget(options), options))
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  async getEntry(key: K | KeyLike, options?: ReadOptions): Promise<KvEntry<K, V> | undefined> {
    const bytes = this.#key(key)
    const answer = await this.#clerk.readAnswer(encodeGet(bytes), readOptions(this.#budget(options), options))
    const found = decodeGetReply(answer.bytes)
    if (found === undefined) return undefined
    const entry = this.#entry(bytes, found)
    return options?.consistency === 'stale' ? { ...entry, ageMs: answer.ageMs } : entry
  }

  /** Values in the order of the keys; undefined for missing ones. Read at one index while the answer is below 1 MiB. */
  async getMany(keys: readonly (K | KeyLike)[], options?: ReadOptions): Promise<(V | undefined)[]> {
    const budget = this.#budget(options)
    const encoded = keys.map((key) => this.#key(key))
    const values: (V | undefined)[] = []
    while (values.length < encoded.length) {
      const query = encodeGetMany(encoded.slice(values.length, values.length + MAX_MANY))
      const reply = decodeManyReply(await this.#clerk.read(query, readOptions(budget, options)))
      if (reply.kind === 'fenced') throw new CoppiceError('getMany: answered for guards that were not sent', INTERNAL)
      for (const found of reply.entries) values.push(found === undefined ? undefined : this.#values.decode(found.value))
    }
    return values
  }

  /** Entries in the order of the keys' bytes. */
  async *range(options: RangeOptions<K> = {}): AsyncGenerator<KvEntry<K, V>, void, undefined> {
    for await (const found of this.#pages(options, false)) yield this.#entry(found.key, found)
  }

  /** Keys only; values do not travel. */
  async *keys(options: RangeOptions<K> = {}): AsyncGenerator<K, void, undefined> {
    for await (const found of this.#pages(options, true)) yield this.#keys.decode(found.key)
  }

  async *#pages(options: RangeOptions<K>, keysOnly: boolean): AsyncGenerator<Found & { readonly key: Uint8Array }> {
    const prefix = options.prefix === undefined ? EMPTY_BYTES : encodeKey(options.prefix, this.#ports)
    let after = options.after === undefined ? EMPTY_BYTES : encodeWith(this.#keys, options.after)
    let left = options.limit ?? Infinity
    while (left > 0) {
      const limit = Math.min(left, options.pageSize ?? DEFAULT_PAGE)
      const query = encodeRange({ table: TABLE_KEYS, prefix, after, limit, keysOnly })
      // Each page is a call of its own: what the loop's body does in between is not the range's time.
      const page = decodeRangeReply(await this.#clerk.read(query, readOptions(this.#budget(options), options)))
      for (const entry of page.entries) yield entry
      const last = page.entries[page.entries.length - 1]
      if (!page.more || last === undefined) return
      left -= page.entries.length
      after = last.key.slice()
    }
  }

  put(key: K | KeyLike, value: V | Uint8Array, options: WriteOptions & { ifVersion: Index }): Promise<Conditional<K, V>>
  put(key: K | KeyLike, value: V | Uint8Array, options?: PutOptions): Promise<KvEntry<K, V>>
  put(key: K | KeyLike, value: V | Uint8Array, options?: WriteOptions): Promise<KvEntry<K, V> | Conditional<K, V>> {
    if (this.#guards.length > 0 || (options !== undefined && !isPlain(options))) return this.#put(key, value, options)
    try {
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
    const bytes = this.#key(key)
    const encoded = this.#value(bytes, value, 'value')
    const conditions = { ifVersion: options.ifVersion, guards: this.#guards }
    const operation = underKey(encodePut(bytes, encoded, conditions, lifetimeOf(options)), options, this.#ports.text)
    const reply = await this.#write(operation, budget, 'put')
    if (reply.kind === 'mismatch') return this.#mismatch(bytes, reply.current)
    const written = {
      key: this.#keys.decode(bytes),
      value: value instanceof Uint8Array ? this.#values.decode(writtenOf(operation, encoded)) : value,
    }
    if (options.ifVersion === undefined) return { ...written, version: reply.version }
    return { ok: true, ...written, version: reply.version }
  }

  delete(key: K | KeyLike, options: DeleteOptions & { ifVersion: Index }): Promise<ConditionalDelete<K, V>>
  delete(key: K | KeyLike, options?: Options & OnceOptions): Promise<Deleted>
  async delete(key: K | KeyLike, options: DeleteOptions = {}): Promise<Deleted | ConditionalDelete<K, V>> {
    const bytes = this.#key(key)
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
    const bytes = this.#key(key)
    const from = expected === undefined ? undefined : this.#value(bytes, expected, 'expected value')
    const to = next === undefined ? undefined : this.#value(bytes, next, 'value')
    const condPut = encodeCondPut(bytes, from, to, this.#guards, lifetimeOf(options))
    const operation = underKey(condPut, options, this.#ports.text)
    const reply = await this.#write(operation, this.#budget(options), 'condPut')
    if (reply.kind === 'mismatch') return this.#mismatch(bytes, reply.current)
    const value = to === undefined ? undefined : this.#values.decode(writtenOf(operation, to))
    return { ok: true, key: this.#keys.decode(bytes), value, version: reply.version }
  }

  /** Makes the value f(present value), whatever others write meanwhile; undefined from f deletes the key, or leaves it missing. */
  async update(
    key: K | KeyLike,
    f: (value: V | undefined) => V | undefined,
    options: PutOptions = {},
  ): Promise<KvEntry<K, V> | undefined> {
    const budget = this.#budget(options)
    const bytes = this.#key(key)
    const lifetime = lifetimeOf(options)
    for (;;) {
      const found = decodeGetReply(await this.#clerk.read(encodeGet(bytes), budget.next('update')))
      const next = f(found === undefined ? undefined : this.#values.decode(found.value))
      if (next === undefined && found === undefined) return undefined
      const conditions = { ifVersion: found?.version ?? 0, guards: this.#guards }
      const operation =
        next === undefined
          ? encodeDelete(bytes, conditions)
          : encodePut(bytes, this.#value(bytes, next, 'value'), conditions, lifetime)
      const reply = await this.#write(underKey(operation, options, this.#ports.text, true), budget, 'update')
      if (reply.kind === 'mismatch') continue
      // Done before, with what f made then.
      const { before } = reply
      if (before !== undefined)
        return before.value && this.#entry(bytes, { version: reply.version, value: before.value })
      return next === undefined ? undefined : { key: this.#keys.decode(bytes), value: next, version: reply.version }
    }
  }

  /** Submits a write; a broken guard is the FENCED error, a refusal one of its own. Waits for the leases of caches on the key to end. */
  async #write(operation: Uint8Array, budget: Budget, what: string): Promise<Written> {
    for (let waitMs = FIRST_WAIT_MS; ;) {
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
        // Nothing was written. Caches answer within a round trip; one that is gone holds it up for what is left of its lease.
        await budget.pause(Math.min(waitMs, reply.waitMs + 1), what)
        waitMs = Math.min(2 * waitMs, MAX_WAIT_MS)
        continue
      }
      if (reply.kind === 'ok' || reply.kind === 'mismatch') return reply
      throw reply.kind === 'fenced' ? this.#fenced(reply.guard, reply.fence, what) : refusal(reply, what)
    }
  }

  #fenced(guard: number, fence: Index, what: string): CoppiceError {
    const { lock, fence: mine } = this.#guards[guard]!
    const now = fence === 0 ? 'nobody holds it' : `it is held with token ${fence}`
    const message = `${what}: lock ${shown(lock, this.#ports.text)} is no longer held with token ${mine}, ${now}`
    return new CoppiceError(message, { code: 'FENCED', outcome: 'not-applied' })
  }

  #mismatch(key: Uint8Array, current: Found | undefined): { ok: false; current: KvEntry<K, V> | undefined } {
    return { ok: false, current: current === undefined ? undefined : this.#entry(key, current) }
  }

  #entry(key: Uint8Array, found: Found): KvEntry<K, V> {
    return { key: this.#keys.decode(key), value: this.#values.decode(found.value), version: found.version }
  }

  // A copy: the caller may write over its bytes while the call is under way.
  #key(key: K | KeyLike): Uint8Array {
    const bytes =
      typeof key === 'string'
        ? this.#ports.text.encode(key)
        : bytesCodec.decode(encodeWith(this.#keys, key as K | Uint8Array))
    checkKey(bytes, 'key', this.#ports.text)
    return bytes
  }

  #value(key: Uint8Array, value: V | Uint8Array, what: string): Uint8Array {
    const bytes = encodeWith(this.#values, value)
    checkValue(key, bytes, what, this.#ports.text)
    return bytes
  }

  #budget(options: Options | undefined): Budget {
    return new Budget(this.#clerk, this.#ports, options)
  }
}

const INTERNAL = { code: 'INTERNAL', outcome: 'unknown' } as const

function readOptions(budget: Budget, options: ReadOptions | undefined): ClerkReadOptions {
  const { signal, timeoutMs } = budget.next('read')
  return { signal, timeoutMs, from: options?.from, stale: options?.consistency === 'stale' }
}

/** The value as it was written, which is the operation's end: the caller may have written over its own bytes since. */
function writtenOf(operation: Uint8Array, value: Uint8Array): Uint8Array {
  // Of a Buffer it is a Buffer.
  const { [Symbol.species]: Like } = value.constructor as unknown as Record<symbol, Uint8ArrayConstructor>
  return new Like!(operation.buffer, operation.byteOffset + operation.length - value.length, value.length)
}

function encodeKey(key: KeyLike, ports: KvPorts): Uint8Array {
  return typeof key === 'string' ? ports.text.encode(key) : asBytes(key)
}

/** The store with strings for keys and values. */
export function textKv(clerk: ClerkLike, ports: KvPorts): Kv {
  return new Kv(clerk, ports, textCodec(ports.text), textCodec(ports.text))
}
