// How long this process stood still: busy, collecting garbage, or without a processor.
const EVERY_MS = 5

export class Stalls {
  #at = performance.now()
  #longestMs = 0
  readonly #timer = setInterval(() => this.#note(), EVERY_MS)

  /** The longest since it was asked last, ms. */
  take(): number {
    const longestMs = this.#longestMs
    this.#longestMs = 0
    return longestMs
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #note(): void {
    const now = performance.now()
    this.#longestMs = Math.max(this.#longestMs, now - this.#at - EVERY_MS)
    this.#at = now
  }
}
