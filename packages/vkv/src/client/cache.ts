// The client cache that stays linearizable (PROTOCOL 9; Grove §6.2): a key is answered from memory while a lease on it is in force, and no
// write to a leased key takes place before its leases were given back or have ended. The store itself sees to that, for every writer.
import type { Index, Millis } from '@coppice/protocol'
import type { ClerkLike } from '@coppice/clerk/core'
import {
  decodeLeaseReply,
  encodeCacheLease,
  LEASE_GRANTED,
  LEASE_NEVER,
  LEASE_UNKNOWN,
  MAX_HOLDER_TTL_MS,
  MIN_HOLDER_TTL_MS,
  NO_END,
} from '../core/cache-operations.js'
import { aborted, Budget, type Options } from './budget.js'
import { CacheHolder } from './cache-holder.js'
import { invalid } from './codecs.js'
import { durationMs, type Duration } from './duration.js'
import { checkOptions, KNOWN } from './known-options.js'
import type { Kv } from './kv.js'
import type { KvPorts } from './ports.js'

/** What `db.cached` takes. */
export interface CacheOptions<V = string> {
  /**
   * For how long a client that has died or is cut off may hold up a write to what it has cached; one that lives answers within a round trip. It is
   * renewed while the cache is used. Default 1 s, 100 ms to 60 s.
   */
  readonly lease?: Duration | undefined
  /** Entries kept in memory. Default 10,000. */
  readonly max?: number | undefined
  /** The store it stands before. Default: `db.kv`. */
  readonly of?: Kv<string, V> | undefined
}

const DEFAULT_LEASE_MS = 1_000
const DEFAULT_MAX = 10_000
const HIGHEST_INDEX = Number.MAX_SAFE_INTEGER

interface Cached {
  /** Of the entry that granted the lease. */
  readonly index: Index
  /** The value's bytes; undefined: there is none, which is cached too. */
  readonly bytes: Uint8Array | undefined
  /** The value, if nobody can change it; else it is decoded anew for each answer. */
  readonly text: string | undefined
  /** When the key may end by its ttl. */
  readonly until: Millis
}

/** A lease that was asked for. */
interface Flight {
  readonly done: Promise<void>
  /** Revoked by this entry while it was under way. */
  revokedAt: Index
}

/** Answers reads from memory while the store vouches for what is in it. Errors: those of any call. */
export class Cache<V = string> {
  /** Reads that were answered from memory. */
  hits = 0
  /** Reads that went to the store. */
  misses = 0
  readonly #clerk: ClerkLike
  readonly #ports: KvPorts
  readonly #kv: Kv<string, V>
  readonly #max: number
  readonly #holder: CacheHolder
  /** By the key as it is in the store, in the order of last use, so that the first is the one to drop. */
  readonly #entries = new Map<string, Cached>()
  readonly #flights = new Map<string, Flight>()

  constructor(clerk: ClerkLike, ports: KvPorts, kv: Kv<string, V>, options: CacheOptions<V> = {}) {
    checkOptions(options, KNOWN.cached, 'cached')
    this.#clerk = clerk
    this.#ports = ports
    this.#kv = kv
    const leaseMs = Math.round(options.lease === undefined ? DEFAULT_LEASE_MS : durationMs(options.lease, 'lease'))
    if (leaseMs < MIN_HOLDER_TTL_MS || leaseMs > MAX_HOLDER_TTL_MS)
      throw invalid(`lease of ${leaseMs} ms is not between ${MIN_HOLDER_TTL_MS} and ${MAX_HOLDER_TTL_MS} ms`)
    this.#max = options.max ?? DEFAULT_MAX
    if (!Number.isSafeInteger(this.#max) || this.#max < 1)
      throw invalid(`max of ${this.#max} is not a number of entries`)
    this.#holder = new CacheHolder(clerk, leaseMs, {
      revoked: (key, index) => this.#revoked(ports.text.decode(key), index),
      allRevoked: (index) => this.#allRevoked(index),
    })
  }

  /** Entries in memory. */
  get size(): number {
    return this.#entries.size
  }

  /** The value, from memory while the lease on it is in force; linearizable either way. Undefined, if there is none, is cached too. */
  get(key: string, options?: Options): Promise<V | undefined> {
    const signal = options?.signal
    if (signal?.aborted === true) return Promise.reject(aborted(this.#clerk, signal, 'cached read', 0))
    const name = this.#kv.view.prefix + key
    const cached = this.#lookUp(name)
    if (cached === undefined) return this.#load(key, name, options)
    this.hits++
    return Promise.resolve(this.#valueOf(name, cached))
  }

  /** Writes; the leases that other clients have on the key are revoked first. */
  async put(key: string, value: V, options?: Options): Promise<void> {
    this.#giveBack(key)
    await this.#kv.put(key, value, options)
  }

  /** Deletes; the leases that other clients have on the key are revoked first. */
  async delete(key: string, options?: Options): Promise<void> {
    this.#giveBack(key)
    await this.#kv.delete(key, options)
  }

  /** Empties it and gives its leases back. Later reads go to the store. */
  async close(options?: Options): Promise<void> {
    const budget = new Budget(this.#clerk, this.#ports, options)
    await this.#holder.close(budget)
  }

  async #load(key: string, name: string, options: Options | undefined): Promise<V | undefined> {
    this.misses++
    const keyBytes = this.#kv.view.key(key)
    const budget = new Budget(this.#clerk, this.#ports, options)
    const other = this.#flights.get(name)
    if (other !== undefined) {
      await budget.within(other.done, 'cached read')
      // The lease it came with is in force now, so the value is the present one. Without it that is not known.
      const cached = this.#lookUp(name)
      if (cached !== undefined) return this.#valueOf(name, cached)
    }
    const holder = await this.#holder.ensure(budget)
    if (holder === 0) return this.#kv.get(key, budget.rest('cached read'))
    let landed: () => void = () => undefined
    const flight: Flight = { done: new Promise((resolve) => (landed = resolve)), revokedAt: 0 }
    const first = !this.#flights.has(name)
    if (first) this.#flights.set(name, flight)
    try {
      const sentAt = this.#clerk.clock.now()
      const reply = decodeLeaseReply(
        await this.#clerk.submit(encodeCacheLease(holder, keyBytes), budget.next('cached read')),
      )
      if (reply.status === LEASE_UNKNOWN) this.#holder.lose(holder)
      if (reply.status === LEASE_NEVER) return await this.#kv.get(key, budget.rest('cached read'))
      const bytes = reply.found?.value
      const value = bytes === undefined ? undefined : this.#kv.view.decode(keyBytes, bytes)
      const known = first && reply.index > flight.revokedAt && this.#holder.id === holder
      if (reply.status === LEASE_GRANTED && known) {
        const until = reply.restMs === NO_END ? Infinity : this.#holder.endOf(sentAt, reply.restMs)
        this.#remember(name, { index: reply.index, bytes, text: typeof value === 'string' ? value : undefined, until })
      }
      return value
    } finally {
      if (first) this.#flights.delete(name)
      landed()
    }
  }

  #lookUp(name: string): Cached | undefined {
    const cached = this.#entries.get(name)
    if (cached === undefined) return undefined
    // The time is read after the entry: a pause between the two can only make the answer "no longer".
    const now = this.#clerk.clock.now()
    if (!this.#holder.valid(now)) return undefined
    this.#entries.delete(name)
    if (now >= cached.until) return undefined
    this.#entries.set(name, cached)
    this.#holder.used(now)
    return cached
  }

  #valueOf(name: string, { text, bytes }: Cached): V | undefined {
    if (text !== undefined) return text as V
    return bytes === undefined ? undefined : this.#kv.view.decode(this.#ports.text.encode(name), bytes)
  }

  #remember(name: string, cached: Cached): void {
    this.#entries.delete(name)
    this.#entries.set(name, cached)
    if (this.#entries.size <= this.#max) return
    const [oldest] = this.#entries
    if (oldest === undefined) return
    this.#entries.delete(oldest[0])
    this.#holder.forget(this.#ports.text.encode(oldest[0]), oldest[1].index, true)
  }

  /** A write of one's own need not wait for one's own lease. */
  #giveBack(key: string): void {
    const name = this.#kv.view.prefix + key
    const flight = this.#flights.get(name)
    if (flight !== undefined) flight.revokedAt = HIGHEST_INDEX
    if (!this.#entries.delete(name) && flight === undefined) return
    this.#holder.forget(this.#ports.text.encode(name), HIGHEST_INDEX, true)
    this.#holder.flush()
  }

  #revoked(name: string, index: Index): void {
    const flight = this.#flights.get(name)
    if (flight !== undefined) flight.revokedAt = Math.max(flight.revokedAt, index)
    const cached = this.#entries.get(name)
    if (cached !== undefined && cached.index <= index) this.#entries.delete(name)
  }

  #allRevoked(index: Index): void {
    for (const flight of this.#flights.values()) flight.revokedAt = Math.max(flight.revokedAt, index)
    for (const [name, cached] of this.#entries) if (cached.index <= index) this.#entries.delete(name)
  }
}
