// The holder of a client cache's leases (PROTOCOL 9): opened when it is first needed, kept while it is used, told by a watch which of its
// leases a writer waits for. Its time counts by this process's own clock from the sending of each operation, so it ends here before it
// ends by the log's.
import { DEFAULT_PARAMS, type Change, type Index, type Millis } from '@coppice/protocol'
import type { ClerkLike, WatchHandle } from '@coppice/clerk/core'
import {
  decodeCacheOpened,
  decodeKeepReply,
  encodeCacheClose,
  encodeCacheDrop,
  encodeCacheForget,
  encodeCacheKeep,
  encodeCacheOpen,
  KEEP_REVOKED,
  KEEP_UNKNOWN,
  MAX_FORGET,
  type Forgotten,
} from '../core/cache-operations.js'
import { STREAM_CACHES, topicOfHolder } from '../core/changes.js'
import type { Budget } from './budget.js'
import { safeTtlMs } from './lock.js'

/** Operations that keep the holder, in one ttl. */
const KEEPS = 3
/** Unused for so many of its ttls, and no less than so long, a holder is given up, ms. */
const IDLE_TTLS = 10
const MIN_IDLE_MS = 10_000
/** Leases of entries that were dropped for want of room are given back so many together, or with the next keep. */
const LAZY_FORGETS = 100

/** What the holder tells its cache. */
export interface LeaseEvents {
  /** The lease on this key is revoked by entry `index`: what was granted before it is worth nothing. */
  revoked(key: Uint8Array, index: Index): void
  /** The same for all keys. */
  allRevoked(index: Index): void
}

export class CacheHolder {
  readonly ttlMs: number
  readonly #clerk: ClerkLike
  readonly #events: LeaseEvents
  #id: Index = 0
  #validUntil: Millis = -Infinity
  #opening: Promise<Index> | undefined
  #watch: WatchHandle | undefined
  #cancelKeep: () => void = () => undefined
  #usedAt: Millis = -Infinity
  #forgets: Forgotten[] = []
  #flushing = false
  #closed = false

  constructor(clerk: ClerkLike, ttlMs: number, events: LeaseEvents) {
    this.#clerk = clerk
    this.ttlMs = ttlMs
    this.#events = events
  }

  /** 0: there is none now. */
  get id(): Index {
    return this.#id
  }

  /** Whether leases of this holder are certainly in force. */
  valid(now: Millis): boolean {
    return now < this.#validUntil
  }

  /** The holder, opened if there is none; 0: the store has too many. */
  async ensure(budget: Budget): Promise<Index> {
    this.#usedAt = this.#clerk.clock.now()
    if (this.#id !== 0 || this.#closed) return this.#id
    // It is everybody's: it goes on when the one who asked first gives up.
    this.#opening ??= this.#open().finally(() => (this.#opening = undefined))
    return budget.within(this.#opening, 'cached read')
  }

  async #open(): Promise<Index> {
    const sentAt = this.#clerk.clock.now()
    const id = decodeCacheOpened(await this.#clerk.submit(encodeCacheOpen(this.ttlMs)))
    if (id === 0 || this.#closed) return 0
    this.#id = id
    this.#validUntil = sentAt + this.#safeMs(this.ttlMs)
    const filter = { stream: STREAM_CACHES, topic: topicOfHolder(id), exact: true, from: id + 1 }
    try {
      this.#watch = this.#clerk.watch(filter, {
        changes: (batch) => this.#onChanges(id, batch),
        end: () => this.lose(id),
      })
    } catch (error) {
      this.lose(id)
      throw error
    }
    this.#keepLater(id, this.ttlMs / KEEPS)
    return id
  }

  /** A read was answered under its leases. */
  used(now: Millis): void {
    this.#usedAt = now
  }

  /** Part of a time by the log's clock that has surely not passed when it has passed here. */
  #safeMs(ms: number): number {
    return safeTtlMs(ms, this.#clerk.configuration?.params ?? DEFAULT_PARAMS)
  }

  /** When a key that lives `restMs` more by the log may end, for an answer to what was sent then. */
  endOf(sentAt: Millis, restMs: number): Millis {
    return sentAt + this.#safeMs(restMs)
  }

  /** Gives the lease on a key back. `lazily`: nobody waits for it. */
  forget(key: Uint8Array, upTo: Index, lazily: boolean): void {
    if (this.#id === 0) return
    this.#forgets.push({ key, upTo })
    if (lazily && this.#forgets.length < LAZY_FORGETS) return
    if (this.#flushing) return
    this.#flushing = true
    this.#clerk.clock.endOfTurn(() => this.flush())
  }

  /** Sends what is to be given back. */
  flush(): void {
    this.#flushing = false
    const id = this.#id
    while (id !== 0 && this.#forgets.length > 0) {
      const some = this.#forgets.splice(0, MAX_FORGET)
      // A lease that cannot be given back holds a writer up: then all end together.
      this.#clerk.submit(encodeCacheForget(id, some)).catch(() => this.lose(id))
    }
    this.#forgets = []
  }

  /** Ends it; the leases go back. */
  async close(budget: Budget): Promise<void> {
    this.#closed = true
    const id = this.#id
    this.#end()
    if (id !== 0) await this.#clerk.submit(encodeCacheClose(id), budget.next('cache'))
  }

  #onChanges(id: Index, batch: readonly Change[]): void {
    if (id !== this.#id) return
    let bytes = 0
    for (const { index, payload, size } of batch) {
      bytes += size
      this.#events.revoked(payload, index)
      this.forget(payload, index, false)
    }
    this.#watch?.consumed(bytes)
  }

  #keepLater(id: Index, ms: number): void {
    this.#cancelKeep()
    this.#cancelKeep = this.#clerk.clock.after(ms, () => void this.#keep(id))
  }

  async #keep(id: Index): Promise<void> {
    if (id !== this.#id) return
    const sentAt = this.#clerk.clock.now()
    if (sentAt - this.#usedAt > Math.max(MIN_IDLE_MS, IDLE_TTLS * this.ttlMs)) return this.lose(id)
    this.flush()
    try {
      const { status, index } = decodeKeepReply(
        await this.#clerk.submit(encodeCacheKeep(id), { timeoutMs: Math.max(this.ttlMs, 1_000) }),
      )
      if (id !== this.#id) return
      if (status === KEEP_UNKNOWN) return this.lose(id)
      if (status === KEEP_REVOKED) {
        // What the watch should have told was lost or is late: the writers must not wait for it.
        this.#events.allRevoked(index)
        this.#clerk.submit(encodeCacheDrop(id, index)).catch(() => this.lose(id))
      }
      this.#validUntil = Math.max(this.#validUntil, sentAt + this.#safeMs(this.ttlMs))
      this.#keepLater(id, this.ttlMs / KEEPS)
    } catch {
      // Any failure may pass; the leases' time stands whatever becomes of the keeping. One that is over for long is given up.
      if (id !== this.#id) return
      if (this.#clerk.clock.now() - this.#validUntil > this.ttlMs) this.lose(id)
      else this.#keepLater(id, this.ttlMs / 10)
    }
  }

  /** Gives the holder of this id up; the next read opens another. */
  lose(id: Index): void {
    if (id !== this.#id) return
    this.#end()
    this.#clerk.submit(encodeCacheClose(id)).catch(() => {
      // It ends by the log's time.
    })
  }

  #end(): void {
    this.#id = 0
    this.#validUntil = -Infinity
    this.#cancelKeep()
    this.#watch?.close()
    this.#watch = undefined
    this.#forgets = []
    this.#events.allRevoked(Infinity)
  }
}
