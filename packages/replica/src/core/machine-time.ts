// The log's time for the machine (PROTOCOL 6, expiry by log position): when something in the state ends by time, the primary logs a tick,
// so that it ends at one index, identically everywhere. An idle machine costs no entries.
import type { Millis } from '@coppice/protocol'
import type { Shared } from './shared.js'

/** Between two ticks; what ends by time ends so much late at the most, by the log's time: no operation finds it later. */
const TICK_MS = 10

/** The log, as a primary writes it. */
export interface LogTime {
  /** The log's time now. */
  elapsed(): Millis
  /** Appends a tick. */
  machineTick(): void
}

export class MachineTime {
  readonly #s: Shared
  readonly #log: LogTime
  #lastAt: Millis = -Infinity
  /** The log's time before which nothing that is not applied yet was admitted. */
  #dueSince: Millis = -Infinity

  constructor(shared: Shared, log: LogTime) {
    this.#s = shared
    this.#log = log
  }

  get wakeAt(): Millis {
    const s = this.#s
    // Nothing more enters the log of this epoch; the next primary looks by itself.
    if (!s.leading || !s.running || s.draining) return Infinity
    const { machineDueAt } = s
    if (machineDueAt === Infinity) return Infinity
    const leftMs = Math.max(0, machineDueAt - this.#log.elapsed())
    return Math.max(s.now + leftMs, this.#lastAt + TICK_MS)
  }

  tick(): void {
    if (this.#s.now < this.wakeAt) return
    this.#lastAt = this.#s.now
    this.#log.machineTick()
  }

  /** Operations are about to enter: after a stall their frame may come before the timer, and what has ended ends before them. */
  beforeOperations(): void {
    const { due } = this.#s
    const elapsed = this.#log.elapsed()
    if (!due.any) this.#dueSince = elapsed
    else if (elapsed >= this.#dueSince + TICK_MS) {
      // What was admitted so long ago may have ended, too.
      due.settle()
      this.#dueSince = elapsed
    }
    this.tick()
  }
}
