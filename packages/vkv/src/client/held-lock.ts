// A lock that is held (PROTOCOL 9): its token (fence), which the store itself enforces, a signal that is aborted before anybody else can
// hold it, renewals in the background.
import {
  CoppiceError,
  DEFAULT_PARAMS,
  type AbortSignalLike,
  type Index,
  type Millis,
  type Params,
} from '@coppice/protocol'
import type { ClerkLike } from '@coppice/clerk/core'
import { encodeRelease, encodeRenew } from '../core/lock-operations.js'
import type { Guard } from '../core/operation-parts.js'
import { decodeDone } from '../core/replies.js'
import { plainAbort } from './abort.js'
import { Budget, pause, type Options } from './budget.js'
import { textKv, type Kv } from './kv.js'
import type { AbortHandle, KvPorts } from './ports.js'
import { safeSessionMs } from './session.js'

/** A holding is renewed so often in its ttl. */
const RENEWALS = 4

/**
 * For how long, from the moment before an acquire or renewal was sent, the holder may believe in it. The log's time runs on the primary's
 * clock and ours on our own, each off by at most the drift (A1). And an operation is stamped with the time at which its log record
 * was begun, which is before it arrived: at most T_fail before, because a member whose disk holds records up for longer is replaced.
 * A ttl below four times that keeps a quarter of itself in hand.
 */
export function safeTtlMs(ttlMs: number, params: Pick<Params, 'drift' | 'failMs'>): number {
  return safeSessionMs(ttlMs, params) - Math.min(params.failMs, ttlMs / 4)
}

/** How the lock was found; `expired`: the former holder did not release it, so what it was doing may be half done. */
export type Taken = 'free' | 'expired' | 'own'

/** What names one holding. */
export interface Holding {
  readonly lock: Uint8Array
  /** Of this one attempt. */
  readonly owner: Uint8Array
  readonly ttlMs: Millis
  /** For errors. */
  readonly what: string
}

/** A held lock. Release it; if the process dies instead, it is free after its ttl. */
export class HeldLock {
  /** The fence: grows with every acquisition, the same for the whole holding. */
  readonly token: Index
  /** `expired`: the former holder did not release it, so what it was doing may be half done. */
  readonly taken: Taken
  readonly #clerk: ClerkLike
  readonly #ports: KvPorts
  readonly #holding: Holding
  readonly #abort: AbortHandle
  #validUntil: Millis
  #cancelTimer: () => void = () => undefined

  /** `sentAt`: when the acquire, or the renewal that confirmed it, was sent. */
  constructor(clerk: ClerkLike, ports: KvPorts, holding: Holding, token: Index, taken: Taken, sentAt: Millis) {
    this.#clerk = clerk
    this.#ports = ports
    this.#holding = holding
    this.token = token
    this.taken = taken
    this.#abort = (ports.newAbort ?? plainAbort)()
    this.#validUntil = sentAt + this.#safeTtlMs()
    this.#arm()
    if (this.valid) void this.#renewLoop()
  }

  /** Aborted when the lock is lost, before anybody else can hold it, and when it is released. */
  get signal(): AbortSignalLike {
    return this.#abort.signal
  }

  /** Whether it is certainly held now, by this process's clock. */
  get valid(): boolean {
    if (!this.signal.aborted && this.#clerk.clock.now() >= this.#validUntil)
      this.#lose('it could not be renewed in time')
    return !this.signal.aborted
  }

  get name(): Uint8Array {
    return this.#holding.lock
  }

  /** What a write must carry to be refused once this lock is another's. */
  get guard(): Guard {
    return { lock: this.#holding.lock, fence: this.token }
  }

  /** The store; every write through it is refused as FENCED, by the server, once the lock is another's. */
  get kv(): Kv {
    return textKv(this.#clerk, this.#ports).guarded([this.guard])
  }

  /** Says something of the holder to those who observe the lock. Rejects with LOCK_LOST when it is another's. */
  async say(value: Uint8Array, options?: Options): Promise<void> {
    const { lock, owner, ttlMs, what } = this.#holding
    const budget = new Budget(this.#clerk, this.#ports, options)
    if (!this.valid) throw lost(what, 'it was lost before')
    const renewal = encodeRenew(lock, owner, this.token, ttlMs, value)
    if (decodeDone(await this.#clerk.submit(renewal, budget.next(what)))) return
    this.#lose('another has taken it')
    throw lost(what, 'another has taken it')
  }

  /** Gives the lock back. Also after it was lost: then nothing changes. */
  async release(options?: Options): Promise<void> {
    const { lock, owner, what } = this.#holding
    const budget = new Budget(this.#clerk, this.#ports, options)
    this.#end(lost(what, 'it was released'))
    await this.#clerk.submit(encodeRelease(lock, owner, this.token), budget.next(what))
  }

  /** Ends the holding as if it had expired: whoever takes the lock next learns that it was not released. */
  async abandon(options?: Options): Promise<void> {
    const { lock, owner, what } = this.#holding
    const budget = new Budget(this.#clerk, this.#ports, options)
    this.#end(lost(what, 'it was abandoned'))
    await this.#clerk.submit(encodeRenew(lock, owner, this.token, 0), budget.next(what))
  }

  async #renewLoop(): Promise<void> {
    const { lock, owner, ttlMs, what } = this.#holding
    for (let waitMs = ttlMs / 3; ;) {
      await pause(this.#clerk, undefined, waitMs, this.signal, what).catch(() => undefined)
      if (!this.valid) return
      const sentAt = this.#clerk.clock.now()
      try {
        const options = { signal: this.signal, timeoutMs: this.#validUntil - sentAt }
        const held = decodeDone(await this.#clerk.submit(encodeRenew(lock, owner, this.token, ttlMs), options))
        if (!held) return this.#lose('another has taken it')
        this.#validUntil = Math.max(this.#validUntil, sentAt + this.#safeTtlMs())
        this.#arm()
        waitMs = ttlMs / RENEWALS
      } catch {
        // Any failure may pass; the signal's deadline stands whatever becomes of the renewals.
        waitMs = Math.min(ttlMs / 10, 250)
      }
    }
  }

  #safeTtlMs(): number {
    return safeTtlMs(this.#holding.ttlMs, this.#clerk.configuration?.params ?? DEFAULT_PARAMS)
  }

  /** One timer for the end of the holding as far as it is known. */
  #arm(): void {
    if (this.signal.aborted) return
    this.#cancelTimer()
    const leftMs = Math.max(0, this.#validUntil - this.#clerk.clock.now())
    this.#cancelTimer = this.#clerk.clock.after(leftMs, () => {
      if (this.valid) this.#arm()
    })
  }

  #lose(why: string): void {
    this.#end(lost(this.#holding.what, why))
  }

  #end(reason: CoppiceError): void {
    this.#cancelTimer()
    this.#abort.abort(reason)
  }
}

function lost(what: string, why: string): CoppiceError {
  return new CoppiceError(`${what} is no longer held: ${why}`, { code: 'LOCK_LOST', outcome: 'unknown' })
}
