// One connection to a key-value group with everything on it (PRODUCT SDK), over any clerk.
import type { Index } from '@coppice/protocol'
import type { CallOptions, ClerkLike, RequestName, Resolution } from '@coppice/clerk/core'
import { Bank, type BankOptions } from './bank.js'
import { Budget, type Options } from './budget.js'
import { Cache, type CacheOptions } from './cache.js'
import { elect, leaderOf, observeLeader, type ElectOptions, type Leader, type Leadership } from './election.js'
import { checkOptions, KNOWN } from './known-options.js'
import { textKv, type Kv } from './kv.js'
import { acquireLock, withLock, type HeldLock, type LockOptions } from './lock.js'
import { listLocks, type LockInfo } from './locks.js'
import type { KvPorts } from './ports.js'
import type { Session } from './session.js'
import { sessionsOf, type SessionInfo, type SessionOptions, type Sessions } from './sessions.js'
import { closeWaiting } from './waiting-session.js'

/** A clerk that can be closed. */
export interface ClosableClerk extends ClerkLike {
  close(): Promise<void>
}

/** The store, its locks, caches and bank over any clerk. */
export class Db {
  /** The store with strings for keys and values; `kv.bytes` and `kv.json()` are other views of it. */
  readonly kv: Kv
  /** The exactly-once clerk below. */
  readonly clerk: ClosableClerk
  protected readonly ports: KvPorts
  readonly #sessions: Sessions

  constructor(clerk: ClosableClerk, ports: KvPorts) {
    this.clerk = clerk
    this.ports = ports
    this.kv = textKv(clerk, ports)
    this.#sessions = sessionsOf(clerk, ports)
  }

  /** Acquires a lock; release it when done. */
  lock(name: string | Uint8Array, options?: LockOptions): Promise<HeldLock> {
    return acquireLock(this.clerk, this.ports, name, options)
  }

  withLock<T>(name: string | Uint8Array, work: (lock: HeldLock) => Promise<T> | T): Promise<T>
  withLock<T>(name: string | Uint8Array, options: LockOptions, work: (lock: HeldLock) => Promise<T> | T): Promise<T>
  withLock<T>(
    name: string | Uint8Array,
    second: LockOptions | ((lock: HeldLock) => Promise<T> | T),
    third?: (lock: HeldLock) => Promise<T> | T,
  ): Promise<T> {
    if (typeof second === 'function') return withLock(this.clerk, this.ports, name, {}, second)
    return withLock(this.clerk, this.ports, name, second, third!)
  }

  /** Becomes leader of all who campaign under this name, or waits until it can. */
  elect(name: string | Uint8Array, options?: ElectOptions): Promise<Leadership> {
    return elect(this.clerk, this.ports, name, options)
  }

  /** Who leads, and what it says of itself; undefined: nobody. */
  leader(name: string | Uint8Array, options?: Options): Promise<Leader | undefined> {
    return leaderOf(this.clerk, this.ports, name, options)
  }

  /** Who leads, now and whenever that changes. `timeout`: until the first answer; from then on it goes on for as long as it is followed. */
  observe(name: string | Uint8Array, options?: Options): AsyncGenerator<Leader | undefined, void, undefined> {
    return observeLeader(this.clerk, this.ports, name, options)
  }

  /** Locks that are held or have waiters, by name. */
  locks(options?: Options & { readonly prefix?: string | undefined }): AsyncGenerator<LockInfo, void, undefined> {
    return listLocks(this.clerk, this.ports, options)
  }

  /** Opens a session, which is kept alive until it is closed; keys bound to it are gone when it ends. */
  session(options?: SessionOptions): Promise<Session> {
    return this.#sessions.open(options)
  }

  /** All sessions of the store, in the order in which they were opened. */
  sessions(options?: Options): AsyncGenerator<SessionInfo, void, undefined> {
    return this.#sessions.list(options)
  }

  /** Ends anybody's session, and with it the keys bound to it; answers whether there was one. */
  async revokeSession(id: Index, options?: Options): Promise<boolean> {
    return this.#sessions.revoke(id, options)
  }

  /** A client cache that stays linearizable. */
  cached<V = string>(options: CacheOptions<V> = {}): Cache<V> {
    const kv = options.of ?? (this.kv as unknown as Kv<string, V>)
    return new Cache(this.clerk, this.ports, kv, options)
  }

  /** Accounts and transfers. */
  bank(options?: BankOptions): Bank {
    return new Bank(this.clerk, this.ports, options)
  }

  /** What became of a request that ended with outcome `unknown`: give the error, or its requestId. */
  async resolve(request: number | RequestName, options?: Options): Promise<Resolution> {
    checkOptions(options, KNOWN.call, 'resolve')
    const call: CallOptions = new Budget(this.clerk, this.ports, options).next('resolve')
    return this.clerk.resolve(request, call)
  }

  /**
   * Ends its sessions and withdraws what waits, as far as the store can be told soon (two seconds at most); then nothing is left open, and calls
   * fail with CLOSED. `timeout` and `signal` cut the farewell short, they do not fail it.
   */
  async close(options?: Options): Promise<void> {
    const budget = new Budget(this.clerk, this.ports, options)
    // What could not be told ends by the store's time.
    await budget.within(this.#farewell(), 'close').catch(() => undefined)
    await this.clerk.close()
  }

  async #farewell(): Promise<void> {
    await closeWaiting(this.clerk)
    await this.#sessions.close()
  }
}
