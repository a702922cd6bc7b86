// The simulated disk of one store (PROTOCOL 0, 7): writes queue, are made durable in groups, complete in order. A crash keeps an
// arbitrary prefix of what was pending, each effect whole or not at all. What "durable" holds is the business of its `apply`.
import type { Kernel } from './kernel.js'
import type { Prng } from './prng.js'

interface Pending<W> {
  readonly writes: readonly W[]
  readonly done: () => void
}

export class WriteQueue<W> {
  /** Mean duration of one durable commit, ms. */
  latencyMs: number
  /** Multiplies it; the nemesis slows disks down. */
  slowness = 1
  /** While true nothing completes: an fdatasync that never returns. */
  hanging = false
  commits = 0
  readonly #kernel: Kernel
  readonly #random: Prng
  readonly #apply: (write: W) => void
  #queue: Pending<W>[] = []
  #running: Pending<W>[] = []
  /** Number of the running commit; a completion of another one is void. */
  #commit = 0
  /** A completion came while the disk was hanging. */
  #due = false

  constructor(kernel: Kernel, random: Prng, latencyMs: number, apply: (write: W) => void) {
    this.#kernel = kernel
    this.#random = random
    this.latencyMs = latencyMs
    this.#apply = apply
  }

  get idle(): boolean {
    return this.#running.length === 0 && this.#queue.length === 0
  }

  /** Begins to make `writes` durable after everything written before; `done` is called then. */
  write(writes: readonly W[], done: () => void): void {
    this.#queue.push({ writes, done })
    if (this.#running.length === 0) this.#begin()
  }

  /**
   * The process dies: an arbitrary prefix of what is pending is durable, the rest never happened. `divisible`: effects of which a crash may
   * keep a part.
   */
  crash(divisible: (writes: readonly W[]) => boolean = () => false): void {
    const pending = [...this.#running, ...this.#queue]
    const kept = this.#random.int(pending.length + 1)
    for (let i = 0; i < kept; i++) for (const write of pending[i]!.writes) this.#apply(write)
    const torn = pending[kept]?.writes ?? []
    const part = divisible(torn) ? this.#random.int(torn.length) : 0
    for (let i = 0; i < part; i++) this.#apply(torn[i]!)
    this.#running = []
    this.#queue = []
    this.#commit++
    this.#due = false
  }

  /** A hanging disk works again. */
  release(): void {
    this.hanging = false
    if (this.#due) this.#complete(this.#commit)
  }

  #begin(): void {
    if (this.#queue.length === 0) return
    this.#running = this.#queue
    this.#queue = []
    const tail = this.#random.chance(0.01) ? this.#random.between(5, 40) : 0
    const duration = this.latencyMs * this.slowness * (0.5 + this.#random.exponential(0.5)) + tail
    const commit = ++this.#commit
    this.#kernel.after(duration, () => this.#complete(commit))
  }

  #complete(commit: number): void {
    if (commit !== this.#commit) return
    this.#due = this.hanging
    if (this.hanging) return
    const running = this.#running
    this.#running = []
    this.commits++
    for (const { writes } of running) for (const write of writes) this.#apply(write)
    this.#begin()
    for (const { done } of running) done()
  }
}
