// @coppice/vkv: the key-value store over real sockets. Loads no server code and no lmdb.
// The reference gives `Symbol.asyncDispose` to users whose own TypeScript settings do not name it.
/// <reference lib="esnext.disposable" preserve="true" />
import { hostname } from 'node:os'
import { connectClerk, type ClusterUrl, type ConnectOptions } from '@coppice/clerk'
import { holdProcess, nodeText, type Dial } from '@coppice/runtime'
import type { Kv } from './client/kv.js'
import type { HeldLock, LockOptions } from './client/lock.js'
import { Db as PortableDb, type ClosableClerk } from './client/db.js'
import type { ElectOptions, Leadership } from './client/election.js'
import type { KvPorts } from './client/ports.js'
import type { Session as PortableSession } from './client/session.js'
import type { SessionOptions } from './client/sessions.js'

export { CompactedError, CoppiceError, type ErrorCode, type Outcome } from '@coppice/protocol'
export type { ClusterUrl, ConnectOptions, Resolution } from '@coppice/clerk'
export type { Audit, CrashPoint, TransferResult } from './client/bank-records.js'
export type { Bank, BankOptions } from './client/bank.js'
export type { Options } from './client/budget.js'
export type { Cache, CacheOptions } from './client/cache.js'
export type { Codec } from './client/codecs.js'
export type { Duration } from './client/duration.js'
export type { ElectOptions, Leader } from './client/election.js'
export type {
  Conditional,
  ConditionalDelete,
  Deleted,
  DeleteOptions,
  Kv,
  KvEntry,
  LifetimeOptions,
  OnceOptions,
  PutOptions,
  RangeOptions,
  ReadOptions,
  SpanOptions,
  WriteOptions,
} from './client/kv.js'
export type { SessionInfo, SessionOptions } from './client/sessions.js'
export { InvalidValueError, type ValuePath } from './client/invalid-value.js'
export type { Page, Range } from './client/range.js'
export type { Watch, WatchEvent, WatchOptions } from './client/watch.js'
export type { Condition, Txn, TxnResult } from './client/txn.js'
export type { Branch, Written } from './client/txn-steps.js'
export type { Schema } from './client/typed.js'
export type { LockOptions } from './client/lock.js'
export type { LockInfo } from './client/locks.js'

// Node 20 before 20.16 has no Symbol.asyncDispose; compilers that lower `await using` look for this one.
if ((Symbol as { asyncDispose?: symbol }).asyncDispose === undefined) {
  Object.defineProperty(Symbol, 'asyncDispose', { value: Symbol('Symbol.asyncDispose') })
}

/** What `connect` takes. */
export type DbOptions = ConnectOptions

/** A held lock with the platform's signal; `await using` releases it. */
export interface Lock extends Omit<HeldLock, 'signal' | 'kv'> {
  /** Aborted when the lock is lost, before anybody else can hold it, and when it is released. */
  readonly signal: AbortSignal
  /** The store; every write through it is refused as FENCED, by the server, once the lock is another's. */
  readonly kv: Kv
  [Symbol.asyncDispose](): Promise<void>
}

/** A leadership that was won, with the platform's signal; `await using` resigns. */
export interface Elected extends Omit<Leadership, 'signal' | 'kv'> {
  /** Aborted when the leadership is lost, before anybody else can lead, and when it ends. */
  readonly signal: AbortSignal
  /** The store; every write through it is refused as FENCED, by the server, once another leads. */
  readonly kv: Kv
  [Symbol.asyncDispose](): Promise<void>
}

/** A session with the platform's signal; `await using` closes it. */
export interface Session extends Omit<PortableSession, 'signal'> {
  /** Aborted when the session is lost, before anybody else can see its keys gone, and when it is closed. */
  readonly signal: AbortSignal
  [Symbol.asyncDispose](): Promise<void>
}

/** A connected client of the store. Close it: its sockets keep the process alive. */
export class Db extends PortableDb {
  override async session(options?: SessionOptions): Promise<PortableSession & Session> {
    const session = await super.session(options)
    return Object.assign(session, { [Symbol.asyncDispose]: () => session.close() }) as unknown as PortableSession &
      Session
  }

  override async lock(name: string | Uint8Array, options?: LockOptions): Promise<HeldLock & Lock> {
    return asLock(await super.lock(name, options))
  }

  override withLock<T>(name: string | Uint8Array, work: (lock: Lock & HeldLock) => Promise<T> | T): Promise<T>
  override withLock<T>(
    name: string | Uint8Array,
    options: LockOptions,
    work: (lock: Lock & HeldLock) => Promise<T> | T,
  ): Promise<T>
  override withLock<T>(
    name: string | Uint8Array,
    second: LockOptions | ((lock: Lock & HeldLock) => Promise<T> | T),
    third?: (lock: Lock & HeldLock) => Promise<T> | T,
  ): Promise<T> {
    const work = typeof second === 'function' ? second : third
    // What is no function is refused there.
    const run = typeof work === 'function' ? (lock: HeldLock) => work(asLock(lock)) : (work as never)
    return super.withLock(name, typeof second === 'function' ? {} : second, run)
  }

  override async elect(name: string | Uint8Array, options?: ElectOptions): Promise<Leadership & Elected> {
    const lead = await super.elect(name, options)
    return Object.assign(lead, { [Symbol.asyncDispose]: () => lead.resign() }) as unknown as Leadership & Elected
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

function asLock(lock: HeldLock): HeldLock & Lock {
  return Object.assign(lock, { [Symbol.asyncDispose]: () => lock.release() }) as unknown as HeldLock & Lock
}

/**
 * Connects to a cluster: `coppice://host:port,host:port[/group]`, naming some of its config servers. Resolves once its configuration is
 * known; fails like any call (UNAVAILABLE, TIMEOUT, WRONG_CLUSTER, PROTOCOL_VERSION, INVALID_ARGUMENT). `dial`: how servers are reached; by default
 * over TCP.
 */
export async function connect(url: ClusterUrl, options: DbOptions = {}, dial?: Dial): Promise<Db> {
  const clerk: ClosableClerk = await connectClerk(url, options, dial)
  return new Db(clerk, NODE_PORTS)
}

const NODE_PORTS: KvPorts = {
  text: nodeText,
  newAbort: () => new AbortController(),
  hold: holdProcess,
  processName: `${hostname()}/${process.pid}`,
}
