// Replicas that refused reads or were silent, and for how long each is passed over.
import type { Clock, Millis, NodeId, Random } from '@coppice/protocol'
import { backoffMs } from './backoff.js'

const AVOID_MAX_MS = 1_000

export class Avoided {
  readonly #clock: Clock
  readonly #random: Random
  /** Until when, and how often in a row. */
  readonly #byId = new Map<NodeId, { until: Millis; times: number }>()

  constructor(clock: Clock, random: Random) {
    this.#clock = clock
    this.#random = random
  }

  has(id: NodeId): boolean {
    const avoided = this.#byId.get(id)
    return avoided !== undefined && this.#clock.now() < avoided.until
  }

  add(id: NodeId, baseMs: number): void {
    const times = this.#byId.get(id)?.times ?? 0
    const ms = backoffMs(times, baseMs, Math.max(AVOID_MAX_MS, baseMs * 8), this.#random)
    this.#byId.set(id, { until: this.#clock.now() + ms, times: times + 1 })
  }

  /** It answered. */
  forgive(id: NodeId): void {
    this.#byId.delete(id)
  }

  /** Time until the first of them may be asked again, ms; Infinity: none is avoided. */
  untilNextMs(): number {
    const now = this.#clock.now()
    let first = Infinity
    for (const { until } of this.#byId.values()) if (until > now && until < first) first = until
    return first - now
  }
}
