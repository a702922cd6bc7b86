// A session (PRODUCT SDK): keys bound to it are gone when it ends, because its process closed it, an operator revoked it, or nobody kept it
// alive for its ttl by the log's time. Its signal is aborted before anybody else can see them gone.
import {
  CoppiceError,
  DEFAULT_PARAMS,
  type AbortSignalLike,
  type Index,
  type Millis,
  type Params,
} from '@coppice/protocol'
import type { ClerkLike } from '@coppice/clerk/core'
import { END_CLOSED } from '../core/changes.js'
import { decodeDone } from '../core/replies.js'
import { encodeEndSession } from '../core/session-operations.js'
import { plainAbort } from './abort.js'
import { Budget, type Options } from './budget.js'
import type { AbortHandle, KvPorts } from './ports.js'

/**
 * For how long, from the moment before it was opened or kept alive, a session's process may believe in it. The log's time runs on the primary's
 * clock and ours on our own, each off by at most the drift (A1); what depends on the log's time is stamped no earlier than it arrived.
 */
export function safeSessionMs(ttlMs: Millis, params: Pick<Params, 'drift'>): Millis {
  return (ttlMs * (1 - params.drift)) / (1 + params.drift)
}

/** What a session asks of the one who keeps all of a connection alive. */
export interface Keeping {
  /** It is over: nobody need keep it alive. */
  forget(session: Session): void
}

/** A session of this process: kept alive in the background, its keys end with it. */
export class Session {
  /** Index of the entry that opened it. */
  readonly id: Index
  readonly ttlMs: Millis
  readonly #clerk: ClerkLike
  readonly #ports: KvPorts
  readonly #keeping: Keeping
  readonly #abort: AbortHandle
  #validUntil: Millis

  constructor(clerk: ClerkLike, ports: KvPorts, keeping: Keeping, id: Index, ttlMs: Millis, sentAt: Millis) {
    this.#clerk = clerk
    this.#ports = ports
    this.#keeping = keeping
    this.id = id
    this.ttlMs = ttlMs
    this.#abort = (ports.newAbort ?? plainAbort)()
    this.#validUntil = sentAt + this.#safeMs()
  }

  /** Aborted when the session is lost, before anybody else can see its keys gone, and when it is closed. */
  get signal(): AbortSignalLike {
    return this.#abort.signal
  }

  /** Whether it has certainly not ended by now, by this process's clock. */
  get valid(): boolean {
    if (!this.signal.aborted && this.#clerk.clock.now() >= this.#validUntil)
      this.lose('it could not be kept alive in time')
    return !this.signal.aborted
  }

  /** Until when it is valid as far as is known now, by this process's clock. */
  get validUntil(): Millis {
    return this.#validUntil
  }

  /** It was kept alive by an operation that was sent at `sentAt`. */
  kept(sentAt: Millis): void {
    this.#validUntil = Math.max(this.#validUntil, sentAt + this.#safeMs())
  }

  /** Ends it here: nobody may believe in it any more. */
  lose(why: string): void {
    this.#abort.abort(ended(this.id, why))
    this.#keeping.forget(this)
  }

  /** Ends it, and with it the keys bound to it. Also after it was lost. */
  async close(options?: Options): Promise<void> {
    const budget = new Budget(this.#clerk, this.#ports, options)
    this.lose('it was closed')
    await endSession(this.#clerk, this.id, END_CLOSED, budget)
  }

  #safeMs(): Millis {
    return safeSessionMs(this.ttlMs, this.#clerk.configuration?.params ?? DEFAULT_PARAMS)
  }
}

/** Answers whether there was such a session. */
export async function endSession(clerk: ClerkLike, id: Index, why: number, budget: Budget): Promise<boolean> {
  return decodeDone(await clerk.submit(encodeEndSession(id, why), budget.next(`session ${id}`)))
}

function ended(id: Index, why: string): CoppiceError {
  return new CoppiceError(`session ${id} has ended: ${why}`, { code: 'SESSION_ENDED', outcome: 'unknown' })
}
