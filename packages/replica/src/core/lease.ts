// Leases as their holder sees them (PROTOCOL 3, L1, L3, guards). A lease is volatile; whatever is doubtful drops it.
import { holderLeaseMs } from '@coppice/protocol'
import type { Epoch, Millis } from '@coppice/protocol'
import type { Shared } from './shared.js'

/** Wall and monotonic clock may differ by so much more than when the lease was asked for, ms. */
const CLOCK_DISAGREEMENT_MS = 100
/** Lease requests that may be outstanding; the oldest is forgotten first. */
const MAX_OUTSTANDING = 16

interface Asked {
  /** H_p just before the request was sent. */
  readonly sentAt: Millis
  readonly wallOffset: number
}

export class Lease {
  /** Grants for lower epochs are refused (RELINQUISH). */
  noLeaseBelow: Epoch = 0
  readonly #s: Shared
  #asked = new Map<string, Asked>()
  #held: { epoch: Epoch; until: Millis; wallOffset: number } | undefined
  /** Wall clock minus monotonic clock, as the driver told last; NaN, which disagrees with nothing, before that. */
  #wallOffset = Number.NaN
  #nonces = 0
  readonly #incarnation: string

  constructor(shared: Shared) {
    this.#s = shared
    const word = (): string => Math.floor(shared.random() * 0x1_0000_0000).toString(36)
    this.#incarnation = `${shared.meta.storeId.slice(0, 16)}.${word()}${word()}`
  }

  /** L1: a nonce, unique across restarts, whose request is sent in this very step. */
  ask(): string {
    const nonce = `${this.#incarnation}.${++this.#nonces}`
    if (this.#asked.size >= MAX_OUTSTANDING) this.#asked.delete(this.#asked.keys().next().value!)
    this.#asked.set(nonce, { sentAt: this.#s.now, wallOffset: this.#wallOffset })
    return nonce
  }

  /** L3: accepted iff the nonce is outstanding, the epoch is the own, it runs, and it was not relinquished. */
  onGrant(epoch: Epoch, nonce: string): void {
    const s = this.#s
    const asked = this.#asked.get(nonce)
    if (asked === undefined || epoch !== s.meta.epoch || !s.activated || epoch < this.noLeaseBelow) return
    this.#asked.delete(nonce)
    const until = asked.sentAt + holderLeaseMs(s.params)
    if (this.#held === undefined || this.#held.epoch !== epoch || until > this.#held.until) {
      this.#held = { epoch, until, wallOffset: asked.wallOffset }
    }
  }

  /** Whether reads may rely on it at `now`: the own epoch, not expired, and the primary accepted what this store holds. */
  valid(now: Millis): boolean {
    const s = this.#s
    const held = this.#held
    if (held === undefined || held.epoch !== s.meta.epoch || !s.activated || s.reloading) return false
    return now < held.until && s.acceptedByPrimary && held.epoch >= this.noLeaseBelow
  }

  /** Milliseconds it still holds; 0: none. */
  left(now: Millis): Millis {
    return this.valid(now) ? this.#held!.until - now : 0
  }

  /** RELINQUISH(r). */
  relinquish(epoch: Epoch): void {
    this.noLeaseBelow = Math.max(this.noLeaseBelow, epoch)
    if (this.#s.meta.epoch < epoch) this.drop('relinquished')
  }

  /** Drops the lease and every request for one. */
  drop(reason: string): void {
    this.#asked.clear()
    if (this.#held === undefined) return
    this.#held = undefined
    this.#s.event('leaseLost', { reason })
  }

  /** Guards: a process that slept, or whose clocks disagree, trusts no time that passed meanwhile. */
  onHealth(wallMs: Millis, sleptMs: Millis): void {
    const s = this.#s
    this.#wallOffset = wallMs - s.now
    const drifted = (offset: number): boolean => Math.abs(this.#wallOffset - offset) > CLOCK_DISAGREEMENT_MS
    if (sleptMs > s.params.leaseMs / 2) this.drop(`the process was stopped for ${Math.round(sleptMs)} ms`)
    if (this.#held !== undefined && drifted(this.#held.wallOffset)) this.drop('wall and monotonic clock disagree')
    for (const [nonce, asked] of this.#asked) if (drifted(asked.wallOffset)) this.#asked.delete(nonce)
  }
}
