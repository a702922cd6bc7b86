// The heart of a run: simulated time, the queue of events, and the drain of client promises between events.
//
// Clients are async code. All of a run happens inside one macrotask: after an event that touched a client the loop awaits a fixed
// number of microtask hops. A continuation that needs more hops simply runs at the next drain, which is as deterministic; nothing
// else of the process (timers, test runner) can run in between, so Date.now and Math.random can be made to throw meanwhile.
import { EventQueue } from './event-queue.js'
import type { Scheduled } from './event-queue.js'
import { check } from './violation.js'

/** Enough for the longest await chain of the clients (measured: 15, the page of a range after a pause); more only costs time. */
const HOPS = 20
/** Steps of a run, and drains after one event, above which something turns in a circle (I10). */
const MAX_STEPS = 500_000
const MAX_DRAINS = 1_000

export class Kernel {
  /** True time, ms since the run began. No node sees it. */
  now = 0
  /** Events executed so far: the "step" of reports. */
  steps = 0
  readonly #queue = new EventQueue()
  #clientsTouched = false
  #turn: (() => void)[] = []

  at(time: number, run: () => void): Scheduled {
    return this.#queue.push(Math.max(time, this.now), run)
  }

  after(delayMs: number, run: () => void): Scheduled {
    return this.#queue.push(this.now + Math.max(0, delayMs), run)
  }

  /** Says that the running event gave something to client code: its promises are drained before the next event. */
  touchClients(): void {
    this.#clientsTouched = true
  }

  /** Client code's end of turn: after the drain, before the next event. */
  endOfTurn(run: () => void): void {
    this.#clientsTouched = true
    this.#turn.push(run)
  }

  /** Runs events until `done` says so or time passes `until`. */
  async run(until: number, done: () => boolean): Promise<void> {
    await this.#drain()
    for (;;) {
      const event = this.#queue.pop()
      if (event === undefined) return
      if (event.time > until) {
        this.#queue.push(event.time, event.run)
        this.now = until
        return
      }
      this.now = event.time
      this.steps++
      check(this.steps < MAX_STEPS, 'I10', () => `${MAX_STEPS} steps and no end: something turns in a circle`)
      event.run()
      if (this.#clientsTouched) await this.#drain()
      if (done()) return
    }
  }

  async #drain(): Promise<void> {
    let drains = 0
    do {
      check(drains++ < MAX_DRAINS, 'I10', () => 'a client turns in a circle within one moment')
      this.#clientsTouched = false
      for (let i = 0; i < HOPS; i++) await undefined
      const turn = this.#turn
      if (turn.length > 0) {
        this.#turn = []
        for (const run of turn) run()
      }
    } while (this.#clientsTouched)
  }
}
