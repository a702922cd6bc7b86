// Acquiring locks (PROTOCOL 9). Who finds a lock busy stands in its queue in the store, with a session that its client keeps alive, and is woken
// by the change that gives it the lock; nobody asks again and again. A grant is confirmed by a renewal, from whose sending the holding counts.
import { CoppiceError, type Index, type Millis } from '@coppice/protocol'
import type { ClerkLike } from '@coppice/clerk/core'
import { encodeAcquire, encodeLeave, encodeRenew } from '../core/lock-operations.js'
import { MAX_LOCK_VALUE_BYTES } from '../core/operations.js'
import { decodeAcquireReply, decodeDone } from '../core/replies.js'
import { Budget, type Options } from './budget.js'
import { checkFunction, invalid, nameBytes, shown } from './codecs.js'
import { durationMs, type Duration } from './duration.js'
import { HeldLock, type Holding } from './held-lock.js'
import { checkOptions, KNOWN } from './known-options.js'
import { grantOf, type Grant } from './lock-grant.js'
import type { KvPorts } from './ports.js'
import { waitingOf, type WaitingSession } from './waiting-session.js'

export { HeldLock, safeTtlMs } from './held-lock.js'

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
/** After a wait that ended without a grant, so that no failure is repeated without pause. */
const AGAIN_MS = 100

/**
 * Acquires a lock. Errors: LOCK_BUSY after `wait`, LIMIT_REACHED when too many wait, else those of any call. After an error neither a
 * holding nor a place in the queue stays behind. `value`: what the holder says of itself.
 */
export async function acquireLock(
  clerk: ClerkLike,
  ports: KvPorts,
  name: string | Uint8Array,
  options: LockOptions = {},
  value?: Uint8Array,
): Promise<HeldLock> {
  const lock = nameBytes(name, 'lock name', ports.text)
  checkOptions(options, value === undefined ? KNOWN.lock : KNOWN.elect, value === undefined ? 'lock' : 'elect')
  if (value !== undefined && value.length > MAX_LOCK_VALUE_BYTES) {
    throw invalid(`a value of ${value.length} bytes is above the limit of ${MAX_LOCK_VALUE_BYTES}`)
  }
  const ttlMs = Math.round(options.ttl === undefined ? DEFAULT_TTL_MS : durationMs(options.ttl, 'ttl'))
  if (ttlMs < MIN_TTL_MS || ttlMs > MAX_TTL_MS) throw invalid(`ttl of ${ttlMs} ms is not between 200 ms and 24 h`)
  const waitMs = options.wait === undefined ? Infinity : durationMs(options.wait, 'wait')
  const owner = new Uint8Array(OWNER_BYTES)
  for (let i = 0; i < OWNER_BYTES; i++) owner[i] = Math.floor(clerk.random() * 256)
  const holding = { lock, owner, ttlMs, what: `lock ${shown(lock, ports.text)}` }
  const attempt = new Attempt(clerk, ports, holding, options, waitMs, value)
  return attempt.run()
}

/** One acquisition, from its first request to the held lock. */
class Attempt {
  readonly #clerk: ClerkLike
  readonly #ports: KvPorts
  readonly #holding: Holding
  readonly #budget: Budget
  readonly #waitMs: Millis
  readonly #waitUntil: Millis
  readonly #value: Uint8Array | undefined
  readonly #waiting: WaitingSession
  /** The session of the place that may be there; 0: none. */
  #session: Index = 0
  /** Whether something of this attempt may be in the store. */
  #unsure = false

  constructor(
    clerk: ClerkLike,
    ports: KvPorts,
    holding: Holding,
    options: LockOptions,
    waitMs: Millis,
    value: Uint8Array | undefined,
  ) {
    this.#clerk = clerk
    this.#ports = ports
    this.#holding = holding
    this.#budget = new Budget(clerk, ports, options, waitMs === Infinity ? 0 : waitMs)
    this.#waitMs = waitMs
    this.#waitUntil = clerk.clock.now() + waitMs
    this.#value = value
    this.#waiting = waitingOf(clerk, ports)
  }

  async run(): Promise<HeldLock> {
    let entered = false
    try {
      // Whoever finds it free needs no session.
      const first = await this.#try(() => Promise.resolve(0))
      if (first !== undefined) return first
      if (this.#waitMs === 0) throw this.#busy()
      this.#waiting.enter()
      entered = true
      for (;;) {
        const held = await this.#try(() => this.#waiting.id(this.#budget, this.#holding.what))
        if (held !== undefined) return held
        await this.#budget.pause(Math.min(AGAIN_MS, this.#left()), this.#holding.what)
        if (this.#left() <= 0) throw this.#busy()
      }
    } catch (error) {
      // Whatever became of the attempts: neither a holding nor a place in the queue may stay behind.
      if (this.#unsure) this.#waiting.leave(this.#holding, this.#session)
      throw error
    } finally {
      if (entered) this.#waiting.exit()
    }
  }

  /** A clerk that was away for too long has lost its requests, and whether they were applied. Asking again cannot be wrong: it names its owner. */
  async #try(session: () => Promise<Index>): Promise<HeldLock | undefined> {
    try {
      return await this.#ask(await session())
    } catch (error) {
      if (this.#waitMs > 0 && error instanceof CoppiceError && error.code === 'SESSION_EXPIRED') return undefined
      throw error
    }
  }

  /** Asks for the lock, with a place in its queue if there is a session; undefined: it did not come to a holding. */
  async #ask(session: Index): Promise<HeldLock | undefined> {
    const { lock, owner, ttlMs, what } = this.#holding
    // A session is given up here before the store ends it: with a second place the lock would later be given to nobody.
    if (this.#unsure && this.#session !== 0 && session !== this.#session)
      await this.#clerk.submit(encodeLeave(lock, owner, this.#session), this.#budget.next(what))
    const sentAt = this.#clerk.clock.now()
    const operation = encodeAcquire(lock, owner, ttlMs, session, this.#value)
    this.#unsure = true
    this.#session = session
    const reply = decodeAcquireReply(await this.#clerk.submit(operation, this.#budget.next(what)))
    switch (reply.kind) {
      case 'acquired': {
        const held = new HeldLock(this.#clerk, this.#ports, this.#holding, reply.fence, reply.taken, sentAt)
        // An answer that took longer than the lock lasts is worth nothing: ask again, the fence stays ours until another takes it.
        return held.valid ? held : undefined
      }
      case 'queued': {
        const until = Math.min(this.#waitUntil, this.#budget.deadline)
        const { signal, attempts } = this.#budget
        const patience = { until, signal, lapsed: this.#waiting.lapsed, attempts }
        const grant = await grantOf(this.#clerk, this.#ports, this.#holding, reply.index + 1, patience)
        return grant === undefined ? undefined : this.#confirm(grant)
      }
      case 'busy':
        this.#unsure = false
        return undefined
      case 'noSession':
        this.#unsure = false
        this.#waiting.ended(session)
        return undefined
      case 'full':
        this.#unsure = false
        throw new CoppiceError(`${what}: too many wait for locks`, {
          code: 'LIMIT_REACHED',
          outcome: 'not-applied',
          retryable: true,
        })
    }
  }

  async #confirm(grant: Grant): Promise<HeldLock | undefined> {
    const { lock, owner, ttlMs, what } = this.#holding
    const sentAt = this.#clerk.clock.now()
    const renewal = encodeRenew(lock, owner, grant.fence, ttlMs, this.#value)
    // False: the confirmation came too late, and the next one has it.
    if (!decodeDone(await this.#clerk.submit(renewal, this.#budget.next(what)))) return undefined
    const taken = grant.inherited ? 'expired' : 'free'
    const held = new HeldLock(this.#clerk, this.#ports, this.#holding, grant.fence, taken, sentAt)
    return held.valid ? held : undefined
  }

  #left(): Millis {
    return this.#waitUntil - this.#clerk.clock.now()
  }

  #busy(): CoppiceError {
    const message = `${this.#holding.what} is another's`
    return new CoppiceError(message, { code: 'LOCK_BUSY', outcome: 'not-applied', retryable: true })
  }
}

/** Runs `work` while holding the lock, and releases it whatever happens. */
export async function withLock<T>(
  clerk: ClerkLike,
  ports: KvPorts,
  name: string | Uint8Array,
  options: LockOptions,
  work: (lock: HeldLock) => Promise<T> | T,
): Promise<T> {
  checkFunction(work, 'withLock')
  const lock = await acquireLock(clerk, ports, name, options)
  try {
    return await work(lock)
  } finally {
    // The work is done or has failed; a release that fails only makes others wait for the ttl.
    await lock.release().catch(() => undefined)
  }
}
