// The client cache that stays linearizable (PROTOCOL 9; Grove §6.2): a reader writes a lease into the entry, by a conditional put on
// its version, and answers from memory while the lease surely lasts; a writer waits until it surely ended.
//
//   stored value:  u8 flags (1: there is a value, 2: a writer waits) · u53 lease end (ms of TimeRange) · value
//
// The lease lives beside the value in one entry, so the keys of a cache are its own: they stand under a prefix of the store.
import { DecodeError, EMPTY_BYTES, Reader, Writer, type Index, type TimeRange } from '@coppice/protocol'
import type { ClerkLike } from '@coppice/clerk/core'
import { Budget, type Options } from './budget.js'
import { checkKey, checkValue, invalid, textCodec } from './codecs.js'
import { durationMs, type Duration } from './duration.js'
import { textKv, type Kv } from './kv.js'
import type { KvPorts } from './ports.js'

/** Of a client cache. */
export interface CacheOptions {
  /** How long a cached entry may be answered from memory; so long a put may have to wait. Default 1 s, at most 60 s. */
  readonly lease?: Duration | undefined
  /** Entries kept in memory. Default 10,000. */
  readonly max?: number | undefined
  /** Where the cache's keys stand in the store. Default `cached/`. */
  readonly prefix?: string | undefined
}

const HAS_VALUE = 1
const WRITER_WAITS = 2
const HEADER_BYTES = 9
const DEFAULT_LEASE_MS = 1_000
const MAX_LEASE_MS = 60_000
const DEFAULT_MAX = 10_000
/** A writer that marked an entry and has not written so long after its lease is taken for dead: leases may be given again. */
const MARK_GRACE_MS = 10_000

interface Stored {
  readonly version: Index
  readonly value: string | undefined
  readonly leaseEnd: number
  readonly writerWaits: boolean
}
interface Cached {
  readonly value: string | undefined
  readonly leaseEnd: number
}

/** Nothing is known about the time: nothing is cached, and nobody's lease is known to have ended. */
const UNBOUNDED: TimeRange = { earliest: 0, latest: Infinity }

/** A client cache that stays linearizable: what it answers from memory is under a lease. */
export class Cache {
  readonly #clerk: ClerkLike
  readonly #ports: KvPorts
  readonly #kv: Kv<string, Uint8Array>
  readonly #leaseMs: number
  readonly #max: number
  readonly #prefix: string
  /** In the order of last use, so that the first is the one to drop. */
  readonly #entries = new Map<string, Cached>()

  constructor(clerk: ClerkLike, ports: KvPorts, options: CacheOptions = {}) {
    this.#clerk = clerk
    this.#ports = ports
    this.#leaseMs = options.lease === undefined ? DEFAULT_LEASE_MS : durationMs(options.lease, 'lease')
    if (this.#leaseMs > MAX_LEASE_MS)
      throw invalid(`lease of ${this.#leaseMs} ms is above the limit of ${MAX_LEASE_MS} ms`)
    this.#max = options.max ?? DEFAULT_MAX
    this.#prefix = options.prefix ?? 'cached/'
    // Bytes are given out as they came; each is decoded at once and not kept.
    this.#kv = textKv(clerk, ports).with({ encode: (value: Uint8Array) => value, decode: (bytes) => bytes })
  }

  /** Entries in memory. */
  get size(): number {
    return this.#entries.size
  }

  /** From memory while its lease lasts, else from the store; linearizable either way. */
  async get(key: string, options?: Options): Promise<string | undefined> {
    const cached = this.#lookUp(key)
    if (cached !== undefined) return cached.value
    return (await this.#load(key, new Budget(this.#clerk, this.#ports, options))).value
  }

  /** The same, and keeps the answer in memory under a lease, also that nothing is there. */
  async getAndCache(key: string, options?: Options): Promise<string | undefined> {
    const cached = this.#lookUp(key)
    if (cached !== undefined) return cached.value
    const budget = new Budget(this.#clerk, this.#ports, options)
    for (;;) {
      const stored = await this.#load(key, budget)
      const time = this.#time()
      // Without a bound on the clock no lease has an end; while a writer waits it must not be kept waiting.
      const writerWaits = stored.writerWaits && time.earliest < stored.leaseEnd + MARK_GRACE_MS
      if (time.latest === Infinity || writerWaits) return stored.value
      const leaseEnd = Math.max(stored.leaseEnd, Math.ceil(time.latest + this.#leaseMs))
      if (!(await this.#store(key, { ...stored, leaseEnd, writerWaits: false }, budget))) continue
      this.#remember(key, { value: stored.value, leaseEnd })
      return stored.value
    }
  }

  /** Writes, after every lease on the key has surely ended. */
  put(key: string, value: string, options?: Options): Promise<void> {
    return this.#change(key, value, options)
  }

  /** Deletes, after every lease on the key has surely ended. */
  delete(key: string, options?: Options): Promise<void> {
    return this.#change(key, undefined, options)
  }

  async #change(key: string, value: string | undefined, options: Options | undefined): Promise<void> {
    const stored = encodeStored({ value, leaseEnd: 0, writerWaits: false }, this.#ports)
    const keyBytes = this.#ports.text.encode(this.#prefix + key)
    checkKey(keyBytes, 'key', this.#ports.text)
    checkValue(keyBytes, stored, 'value', this.#ports.text)
    const budget = new Budget(this.#clerk, this.#ports, options)
    for (;;) {
      const present = await this.#load(key, budget)
      if (this.#time().earliest < present.leaseEnd) {
        // The mark stops further leases, so that this write waits for one lease at the most.
        if (!present.writerWaits && !(await this.#store(key, { ...present, writerWaits: true }, budget))) continue
        await this.#waitUntil(present.leaseEnd, budget)
        if (!present.writerWaits) continue
      }
      // A lease given after the load changes the version: then this write does not happen and waits again.
      if (!(await this.#store(key, { ...present, value, leaseEnd: 0, writerWaits: false }, budget))) continue
      this.#entries.delete(key)
      return
    }
  }

  async #waitUntil(leaseEnd: number, budget: Budget): Promise<void> {
    for (;;) {
      const leftMs = leaseEnd - this.#time().earliest
      if (leftMs <= 0) return
      await budget.pause(Math.min(leftMs + 1, MAX_LEASE_MS), 'cached put')
    }
  }

  async #load(key: string, budget: Budget): Promise<Stored> {
    const entry = await this.#kv.getEntry(this.#prefix + key, budget.rest('cached read'))
    if (entry === undefined) return { version: 0, value: undefined, leaseEnd: 0, writerWaits: false }
    const r = new Reader(entry.value)
    const flags = r.u8()
    if ((flags & ~(HAS_VALUE | WRITER_WAITS)) !== 0)
      throw new DecodeError(`${this.#prefix}${key} was not written by a cache`)
    const leaseEnd = r.u53()
    const value = (flags & HAS_VALUE) === 0 ? undefined : textCodec(this.#ports.text).decode(r.rest())
    return { version: entry.version, value, leaseEnd, writerWaits: (flags & WRITER_WAITS) !== 0 }
  }

  /** Writes the entry if it still has the version of `stored`. */
  async #store(key: string, stored: Stored, budget: Budget): Promise<boolean> {
    const options = { ...budget.rest('cached write'), ifVersion: stored.version }
    return (await this.#kv.put(this.#prefix + key, encodeStored(stored, this.#ports), options)).ok
  }

  #lookUp(key: string): Cached | undefined {
    const cached = this.#entries.get(key)
    if (cached === undefined) return undefined
    this.#entries.delete(key)
    // The time is read after the entry: a pause between the two can only make the answer "no longer".
    if (this.#time().latest >= cached.leaseEnd) return undefined
    this.#entries.set(key, cached)
    return cached
  }

  #remember(key: string, cached: Cached): void {
    this.#entries.delete(key)
    this.#entries.set(key, cached)
    if (this.#entries.size <= this.#max) return
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest)
      return
    }
  }

  #time(): TimeRange {
    return this.#ports.timeRange?.() ?? UNBOUNDED
  }
}

function encodeStored(stored: Omit<Stored, 'version'>, ports: KvPorts): Uint8Array {
  const value = stored.value === undefined ? EMPTY_BYTES : ports.text.encode(stored.value)
  const w = new Writer(HEADER_BYTES + value.length)
  w.u8((stored.value === undefined ? 0 : HAS_VALUE) | (stored.writerWaits ? WRITER_WAITS : 0))
  w.u53(stored.leaseEnd)
  w.raw(value)
  return w.view()
}
