// Locks over the log (PROTOCOL 9): a token (fence) that the store itself enforces, a signal that is aborted before anybody else can hold
// the lock, renewals in the background.
import {
  CoppiceError,
  DEFAULT_PARAMS,
  type AbortSignalLike,
  type Index,
  type Millis,
  type Params,
} from '@coppice/protocol'
import type { ClerkLike } from '@coppice/clerk/core'
import { encodeAcquire, encodeRelease, encodeRenew, type Guard } from '../core/operations.js'
import { decodeAcquireReply, decodeDone } from '../core/replies.js'
import { plainAbort } from './abort.js'
import { Budget, pause, type Options } from './budget.js'
import { checkKey, invalid, shown } from './codecs.js'
import { durationMs, type Duration } from './duration.js'
import { textKv, type Kv } from './kv.js'
import type { AbortHandle, KvPorts } from './ports.js'

/** Of acquiring a lock. */
export interface LockOptions extends Options {
  /** The lock is free again so long after its holder was last heard; renewed every quarter of it. Default 10 s. */
  readonly ttl?: Duration | undefined
  /** How long to wait for it; 0: one attempt. Default: as long as `timeout` lasts. */
  readonly wait?: Duration | undefined
}

const DEFAULT_TTL_MS = 10_000
/** A shorter ttl would leave no time between the renewals and the early end of the signal. */
const MIN_TTL_MS = 200
const MAX_TTL_MS = 24 * 3_600_000
const OWNER_BYTES = 16
/** A holding is renewed so often in its ttl. */
const RENEWALS = 4

// Waiting without a watch: a waiter has a place in the lock's queue, so asking again does not race with anyone and need not be quick. The
// first in the queue asks every 10–60 ms (so long a free lock may stand idle), the others every 250 ms at the most, and nobody
// before the time at which the holding could end, if that is nearer. A place that is not confirmed for 1.5 s lapses.
const FIRST_POLL_MS = 10
const MAX_FIRST_POLL_MS = 40
const MAX_POLL_MS = 160
const PLACE_MS = 1_500

/**
 * For how long, from the moment before an acquire or renewal was sent, the holder may believe in it. The log's time runs on the primary's
 * clock and ours on our own, each off by at most the drift (A1). And an operation is stamped with the time at which its log record
 * was begun, which is before it arrived: at most T_fail before, because a member whose disk holds records up for longer is replaced.
 * A ttl below four times that keeps a quarter of itself in hand.
 */
export function safeTtlMs(ttlMs: number, params: Pick<Params, 'drift' | 'failMs'>): number {
  return (ttlMs * (1 - params.drift)) / (1 + params.drift) - Math.min(params.failMs, ttlMs / 4)
}

/** Acquires a lock. Errors: LOCK_BUSY after `wait`; else those of any call. */
export async function acquireLock(
  clerk: ClerkLike,
  ports: KvPorts,
  name: string | Uint8Array,
  options: LockOptions = {},
): Promise<HeldLock> {
  const lock = typeof name === 'string' ? ports.text.encode(name) : name
  checkKey(lock, 'lock name', ports.text)
  const ttlMs = Math.round(options.ttl === undefined ? DEFAULT_TTL_MS : durationMs(options.ttl, 'ttl'))
  if (ttlMs < MIN_TTL_MS || ttlMs > MAX_TTL_MS) throw invalid(`ttl of ${ttlMs} ms is not between 200 ms and 24 h`)
  const waitMs = options.wait === undefined ? Infinity : durationMs(options.wait, 'wait')
  const budget = new Budget(clerk, ports, options, waitMs === Infinity ? 0 : waitMs)
  const waitUntil = clerk.clock.now() + waitMs
  const what = `lock ${shown(lock, ports.text)}`
  const owner = new Uint8Array(OWNER_BYTES)
  for (let i = 0; i < OWNER_BYTES; i++) owner[i] = Math.floor(clerk.random() * 256)
  try {
    for (let pollMs = FIRST_POLL_MS; ; pollMs *= 2) {
      const sentAt = clerk.clock.now()
      const operation = encodeAcquire(lock, owner, ttlMs, waitMs === 0 ? 0 : PLACE_MS)
      const reply = decodeAcquireReply(await clerk.submit(operation, budget.next(what)))
      if (reply.kind === 'acquired') {
        const held = new HeldLock(clerk, ports, { lock, owner, ttlMs, what }, reply.fence, reply.taken, sentAt)
        // An answer that took longer than the lock lasts is worth nothing: ask again, the fence stays ours until another takes it.
        if (held.valid) return held
        continue
      }
      const left = waitUntil - clerk.clock.now()
      if (left <= 0) throw busy(what, reply.fence)
      const ceiling = reply.place === 0 ? MAX_FIRST_POLL_MS : MAX_POLL_MS
      pollMs = Math.min(pollMs, ceiling)
      await budget.pause(Math.min((0.5 + clerk.random()) * pollMs, reply.retryMs + 1, left), what)
    }
  } catch (error) {
    // Whatever became of the attempts: neither a holding nor a place in the queue may stay behind.
    void clerk.submit(encodeRelease(lock, owner, 0)).catch(() => undefined)
    throw error
  }
}

interface Holding {
  readonly lock: Uint8Array
  readonly owner: Uint8Array
  readonly ttlMs: number
  readonly what: string
}

/** A held lock. Release it; if the process dies instead, it is free after its ttl. */
export class HeldLock {
  /** The fence: grows with every acquisition, the same for the whole holding. */
  readonly token: Index
  /** `expired`: the former holder did not release it, so what it was doing may be half done. */
  readonly taken: 'free' | 'expired' | 'own'
  readonly #clerk: ClerkLike
  readonly #ports: KvPorts
  readonly #holding: Holding
  readonly #abort: AbortHandle
  #validUntil: Millis
  #cancelTimer: () => void = () => undefined

  constructor(
    clerk: ClerkLike,
    ports: KvPorts,
    holding: Holding,
    token: Index,
    taken: 'free' | 'expired' | 'own',
    sentAt: Millis,
  ) {
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

  /** Gives the lock back. Also after it was lost: then nothing changes. */
  async release(options?: Options): Promise<void> {
    const { lock, owner, what } = this.#holding
    this.#end(lost(what, 'it was released'))
    const budget = new Budget(this.#clerk, this.#ports, options)
    await this.#clerk.submit(encodeRelease(lock, owner, this.token), budget.next(what))
  }

  /** Ends the holding as if it had expired: whoever takes the lock next learns that it was not released. */
  async abandon(options?: Options): Promise<void> {
    const { lock, owner, what } = this.#holding
    this.#end(lost(what, 'it was abandoned'))
    const budget = new Budget(this.#clerk, this.#ports, options)
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

function busy(what: string, fence: Index): CoppiceError {
  const by = fence === 0 ? 'promised to an earlier waiter' : `held with token ${fence}`
  return new CoppiceError(`${what} is ${by}`, { code: 'LOCK_BUSY', outcome: 'not-applied', retryable: true })
}

/** Runs `work` while holding the lock, and releases it whatever happens. */
export async function withLock<T>(
  clerk: ClerkLike,
  ports: KvPorts,
  name: string | Uint8Array,
  options: LockOptions,
  work: (lock: HeldLock) => Promise<T> | T,
): Promise<T> {
  const lock = await acquireLock(clerk, ports, name, options)
  try {
    return await work(lock)
  } finally {
    // The work is done or has failed; a release that fails only makes others wait for the ttl.
    await lock.release().catch(() => undefined)
  }
}
