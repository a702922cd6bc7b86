// The longest time in which no client's write was acknowledged.
import type { Cluster } from '../../cluster.js'

export class WriteGap {
  readonly #c: Cluster
  #since: number | undefined
  #longestMs = 0

  constructor(c: Cluster) {
    this.#c = c
    c.workload!.onWritten = () => this.#note()
  }

  /** Counts from now on. */
  start(): void {
    this.#since = this.#c.kernel.now
  }

  /** Until now, or until everything healed. */
  get longestMs(): number {
    return this.#longestMs
  }

  #note(): void {
    if (this.#since === undefined || this.#c.healed) return
    this.#longestMs = Math.max(this.#longestMs, this.#c.kernel.now - this.#since)
    this.#since = this.#c.kernel.now
  }
}
