// The log's time for the machine (PROTOCOL 6, expiry by log position): when something in the state ends by time, the primary logs a tick,
// so that it ends at one index, identically everywhere. An idle machine costs no entries.
import type { Millis } from '@coppice/protocol'
import type { Primary } from './primary.js'
import type { Shared } from './shared.js'

/** Between two ticks; what ends by time ends so much late at the most, while its group has a primary. */
const TICK_MS = 10

export class MachineTime {
  readonly #s: Shared
  readonly #primary: Primary
  #lastAt: Millis = -Infinity

  constructor(shared: Shared, primary: Primary) {
    this.#s = shared
    this.#primary = primary
  }

  get wakeAt(): Millis {
    const s = this.#s
    // Nothing more enters the log of this epoch; the next primary looks by itself.
    if (!s.leading || !s.running || s.draining) return Infinity
    const { machineDueAt } = s
    if (machineDueAt === Infinity) return Infinity
    const leftMs = Math.max(0, machineDueAt - this.#primary.elapsed())
    return Math.max(s.now + leftMs, this.#lastAt + TICK_MS)
  }

  tick(): void {
    if (this.#s.now < this.wakeAt) return
    this.#lastAt = this.#s.now
    this.#primary.machineTick()
  }
}
