// A clock that a test moves by hand: timers in order of time, then of creation; microtasks run out between any two events.
import type { Clock } from '@coppice/protocol'

interface Timer {
  readonly at: number
  readonly seq: number
  run: (() => void) | undefined
}

export class FakeTime {
  now = 1_000
  #seq = 0
  /** Binary heap; a cancelled timer stays until it is on top. */
  readonly #heap: Timer[] = []
  #turn: (() => void)[] = []

  readonly clock: Clock = {
    now: () => this.now,
    after: (delayMs, run) => {
      const timer: Timer = { at: this.now + Math.max(0, delayMs), seq: this.#seq++, run }
      this.#push(timer)
      return () => {
        timer.run = undefined
      }
    },
    endOfTurn: (run) => {
      this.#turn.push(run)
    },
  }

  /** Timers that would still run. */
  get pending(): number {
    return this.#heap.filter((t) => t.run !== undefined).length
  }

  /** Consumes what is due now. */
  async settle(): Promise<void> {
    await this.run(0)
  }

  /** Runs all events of the next `ms`. */
  async run(ms: number): Promise<void> {
    const until = this.now + ms
    for (;;) {
      await this.#endTurn()
      const next = this.#next()
      if (next === undefined || next.at > until) break
      this.#runTurn(next.at)
    }
    this.now = until
  }

  /** Runs events until the promise is settled; fails after `limitMs` of this clock. */
  async until<T>(promise: Promise<T>, limitMs = 60_000): Promise<T> {
    let done = false
    const settled = (): void => {
      done = true
    }
    promise.then(settled, settled)
    const until = this.now + limitMs
    for (;;) {
      await this.#endTurn()
      if (done) return promise
      const next = this.#next()
      if (next === undefined || next.at > until) throw new Error(`not settled within ${limitMs} ms`)
      this.#runTurn(next.at)
    }
  }

  async #endTurn(): Promise<void> {
    do {
      await new Promise((resolve) => setImmediate(resolve))
      const turn = this.#turn
      this.#turn = []
      for (const run of turn) run()
    } while (this.#turn.length > 0)
  }

  // What is due at one instant is one turn, as the frames of one read from a socket are.
  #runTurn(at: number): void {
    this.now = Math.max(this.now, at)
    for (let next = this.#next(); next !== undefined && next.at <= at; next = this.#next()) {
      const { run } = next
      this.#pop()
      run!()
    }
  }

  #next(): Timer | undefined {
    while (this.#heap.length > 0 && this.#heap[0]!.run === undefined) this.#pop()
    return this.#heap[0]
  }

  #push(timer: Timer): void {
    const heap = this.#heap
    let at = heap.push(timer) - 1
    while (at > 0) {
      const up = (at - 1) >> 1
      if (!before(timer, heap[up]!)) break
      heap[at] = heap[up]!
      at = up
    }
    heap[at] = timer
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()!
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let down = 2 * at + 1
      if (down >= heap.length) break
      if (down + 1 < heap.length && before(heap[down + 1]!, heap[down]!)) down++
      if (!before(heap[down]!, last)) break
      heap[at] = heap[down]!
      at = down
    }
    heap[at] = last
  }
}

function before(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.seq < b.seq)
}

/** A small seeded generator (mulberry32). */
export function seeded(seed: number): () => number {
  let a = seed >>> 0
  return () => {
    a = (a + 0x6d2b79f5) >>> 0
    let t = a
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}
