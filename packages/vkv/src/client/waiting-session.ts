// The session with whose end the places of a client's waiters lapse: one for all of them, opened when the first one waits and ended some time after
// the last one has gone, so that a thousand waiters cost one keep-alive.
import { CoppiceError, type AbortSignalLike, type Index } from '@coppice/protocol'
import type { ClerkLike } from '@coppice/clerk/core'
import { encodeRelease } from '../core/lock-operations.js'
import { plainAbort } from './abort.js'
import type { Budget } from './budget.js'
import type { Holding } from './held-lock.js'
import type { KvPorts } from './ports.js'
import type { Session } from './session.js'
import { sessionsOf } from './sessions.js'

/** The places of a client that died lapse after this time, by the log's. */
const TTL_MS = 10_000
/** An idle session is kept for so long, for those who wait again. */
const LINGER_MS = 5_000
/** What was given up is withdrawn before the client is closed, if that takes no longer. */
const CLOSE_MS = 1_000

/** After a failure to open it. */
const AGAIN_MS = 250

const byClerk = new WeakMap<ClerkLike, WaitingSession>()

/** The one of this clerk. */
export function waitingOf(clerk: ClerkLike, ports: KvPorts): WaitingSession {
  let waiting = byClerk.get(clerk)
  if (waiting === undefined) byClerk.set(clerk, (waiting = new WaitingSession(clerk, ports)))
  return waiting
}

/** Before the clerk is closed. */
export async function closeWaiting(clerk: ClerkLike): Promise<void> {
  await byClerk.get(clerk)?.close()
}

export class WaitingSession {
  readonly #clerk: ClerkLike
  readonly #ports: KvPorts
  #users = 0
  #opening: Promise<Session> | undefined
  #session: Session | undefined
  #lapsed = plainAbort()
  #cancelLinger: () => void = () => undefined
  readonly #withdrawals = new Set<Promise<unknown>>()

  constructor(clerk: ClerkLike, ports: KvPorts) {
    this.#clerk = clerk
    this.#ports = ports
  }

  enter(): void {
    this.#users++
    this.#cancelLinger()
  }

  exit(): void {
    if (--this.#users > 0) return
    this.#cancelLinger = this.#clerk.clock.after(LINGER_MS, () => {
      if (this.#users === 0) void this.#end()
    })
  }

  /** Its id; opens it if need be. */
  async id(budget: Budget, what: string): Promise<Index> {
    if (this.#session?.signal.aborted === true) this.#session = undefined
    if (this.#session !== undefined) return this.#session.id
    for (;;) {
      try {
        // All that wait share one attempt; each fails by its own time.
        this.#opening ??= this.#open()
        return (await budget.within(this.#opening, what)).id
      } catch (error) {
        if (!(error instanceof CoppiceError) || !error.retryable) throw error
        await budget.pause(AGAIN_MS, what)
      }
    }
  }

  async #open(): Promise<Session> {
    try {
      const session = await sessionsOf(this.#clerk, this.#ports).open({ ttl: TTL_MS })
      const lapsed = plainAbort()
      session.signal.addEventListener('abort', () => lapsed.abort(session.signal.reason), { once: true })
      this.#session = session
      this.#lapsed = lapsed
      return session
    } finally {
      this.#opening = undefined
    }
  }

  /** Aborted when the places that came with it have lapsed. A plain one: thousands may listen. */
  get lapsed(): AbortSignalLike {
    return this.#lapsed.signal
  }

  /** The store does not know this session any more. */
  ended(id: Index): void {
    if (this.#session?.id === id) this.#session = undefined
  }

  /** Takes back, in the background, whatever an attempt may have left in the store. */
  leave(holding: Holding, session: Index): void {
    const release = encodeRelease(holding.lock, holding.owner, 0, session)
    // What cannot be taken back lapses with the session, or with the ttl.
    const withdrawal = this.#clerk.submit(release).catch(() => undefined)
    this.#withdrawals.add(withdrawal)
    void withdrawal.then(() => this.#withdrawals.delete(withdrawal))
  }

  async close(): Promise<void> {
    this.#cancelLinger()
    if (this.#withdrawals.size === 0 && this.#session === undefined) return
    const late = new Promise<void>((resolve) => this.#clerk.clock.after(CLOSE_MS, resolve))
    await Promise.race([Promise.all([...this.#withdrawals, this.#end()]), late])
  }

  async #end(): Promise<void> {
    const session = this.#session
    this.#session = undefined
    await session?.close({ timeout: CLOSE_MS }).catch(() => undefined)
  }
}
