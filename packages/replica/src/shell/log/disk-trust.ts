// Whether the next durable write may be made on the spot, on the event loop, or goes to another thread (figures in DECISIONS.md). On the
// spot it costs less processor time, but everybody waits: that pays while the disk answers about as fast as the other thread could.

/** Mean of the last writes on the spot above which the disk is too slow for that, ms. */
const SLOW_MEAN_MS = 0.4
/** One write that takes longer is enough, ms. */
const SLOW_ONCE_MS = 10
/** How much a write counts in the mean. */
const WEIGHT = 1 / 16
/** Writes by the thread before one is tried on the spot again; twice as many each time that fails. */
const FIRST_ASIDE = 64
const LONGEST_ASIDE = 4_096
/** Writes on the spot after which the disk is as good as any. */
const GOOD_AFTER = 256

export class DiskTrust {
  private aside = FIRST_ASIDE
  private nextAside = FIRST_ASIDE
  private meanMs = -1
  private good = 0

  get onTheSpot(): boolean {
    return this.aside === 0
  }

  /** A write was made by the thread. */
  wroteAside(): void {
    if (this.aside > 0) this.aside--
  }

  /** A write on the spot took so long. */
  wroteOnTheSpot(ms: number): void {
    this.meanMs = this.meanMs < 0 ? ms : this.meanMs + (ms - this.meanMs) * WEIGHT
    if (this.meanMs <= SLOW_MEAN_MS && ms <= SLOW_ONCE_MS) {
      if (++this.good >= GOOD_AFTER) this.nextAside = FIRST_ASIDE
      return
    }
    this.aside = this.nextAside
    this.nextAside = Math.min(this.nextAside * 2, LONGEST_ASIDE)
    this.meanMs = -1
    this.good = 0
  }
}
