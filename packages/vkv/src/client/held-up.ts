// A write that the leases of client caches hold up comes again (PROTOCOL 9).
import type { Millis } from '@coppice/protocol'
import type { Budget } from './budget.js'

/** Between two attempts, ms. */
const FIRST_WAIT_MS = 2
const MAX_WAIT_MS = 50

export class HeldUp {
  readonly #budget: Budget
  #waitMs = FIRST_WAIT_MS

  constructor(budget: Budget) {
    this.#budget = budget
  }

  /**
   * Waits before the next attempt; nothing was written by the last. Caches answer within a round trip; one that is gone holds a write up
   * for `leaseMs`, what is left of its lease. Errors: TIMEOUT, ABORTED.
   */
  async pause(leaseMs: Millis, what: string): Promise<void> {
    await this.#budget.pause(Math.min(this.#waitMs, leaseMs + 1), what)
    this.#waitMs = Math.min(2 * this.#waitMs, MAX_WAIT_MS)
  }
}
