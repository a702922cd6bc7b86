// One machine's clocks (PROTOCOL 0, A1): a monotonic clock that runs up to ρ too fast or too slow, and a wall clock that may jump.
import type { Kernel } from './kernel.js'

export class NodeClock {
  readonly #kernel: Kernel
  #rate: number
  #baseTrue: number
  #baseLocal: number
  /** Added to true time for the wall clock; the nemesis makes it jump. */
  wallOffsetMs: number

  constructor(kernel: Kernel, rate: number, offsetMs: number, wallOffsetMs: number) {
    this.#kernel = kernel
    this.#rate = rate
    this.#baseTrue = kernel.now
    this.#baseLocal = offsetMs
    this.wallOffsetMs = wallOffsetMs
  }

  /** H_p now. */
  now(): number {
    return this.#baseLocal + (this.#kernel.now - this.#baseTrue) * this.#rate
  }

  wall(): number {
    return 1_700_000_000_000 + this.#kernel.now + this.wallOffsetMs
  }

  /** True time at which this clock will show `local`. */
  trueTimeOf(local: number): number {
    return this.#baseTrue + (local - this.#baseLocal) / this.#rate
  }

  /** True duration of `localMs` of this clock. */
  trueDuration(localMs: number): number {
    return localMs / this.#rate
  }

  /** Runs on at another rate; the value is continuous. */
  setRate(rate: number): void {
    this.#baseLocal = this.now()
    this.#baseTrue = this.#kernel.now
    this.#rate = rate
  }

  /** A restarted machine's monotonic clock begins anywhere. */
  restart(offsetMs: number): void {
    this.#baseTrue = this.#kernel.now
    this.#baseLocal = offsetMs
  }
}
