// The simulated disk of a replica, with the two lanes of the real store (disk-lanes.ts of the replica): records in segments, everything else
// in transactions. What changes the marks waits for the records before it, and holds up those behind it. A crash keeps a prefix of each.
import { isBulk } from '@coppice/replica'
import type { DiskWrite } from '@coppice/replica'
import { WriteQueue } from '../kernel/disk.js'
import type { Kernel } from '../kernel/kernel.js'
import type { Prng } from '../kernel/prng.js'

interface Queued {
  readonly writes: readonly DiskWrite[]
  readonly done: () => void
}

export class ReplicaDisk {
  readonly #segments: WriteQueue<DiskWrite>
  readonly #marks: WriteQueue<DiskWrite>
  #lane: Queued[] = []
  #alone = false
  #queued = 0
  #completed = 0
  #waiting: { readonly after: number; readonly run: () => void }[] = []

  constructor(kernel: Kernel, random: Prng, latencyMs: number, apply: (write: DiskWrite) => void) {
    this.#segments = new WriteQueue(kernel, random, latencyMs, apply)
    this.#marks = new WriteQueue(kernel, random.fork(), latencyMs, apply)
  }

  get commits(): number {
    return this.#segments.commits + this.#marks.commits
  }
  set slowness(factor: number) {
    this.#segments.slowness = factor
    this.#marks.slowness = factor
  }
  get hanging(): boolean {
    return this.#segments.hanging
  }
  set hanging(hangs: boolean) {
    this.#segments.hanging = hangs
    this.#marks.hanging = hangs
  }
  release(): void {
    this.#segments.release()
    this.#marks.release()
  }

  write(writes: readonly DiskWrite[], done: () => void): void {
    this.#queued++
    const completed = (): void => {
      this.#completed++
      done()
      this.#wake()
    }
    if (isBulk(writes)) return this.#marks.write(writes, completed)
    this.#lane.push({ writes, done: completed })
    this.#pump()
  }

  /** Calls `run` when everything written so far is durable. */
  drained(run: () => void): void {
    this.#waiting.push({ after: this.#queued, run })
    this.#wake()
  }

  /** The process dies. */
  crash(): void {
    this.#lane = []
    this.#waiting = []
    this.#alone = false
    this.#completed = this.#queued
    this.#segments.crash((writes) => writes.every((w) => w.kind === 'record'))
    this.#marks.crash()
  }

  #pump(): void {
    while (this.#lane.length > 0 && !this.#alone) {
      const { writes, done } = this.#lane[0]!
      const plain = writes.length > 0 && writes.every((w) => w.kind === 'record')
      if (!plain && !this.#segments.idle) return
      this.#lane.shift()
      if (plain) {
        this.#segments.write(writes, () => {
          done()
          this.#pump()
        })
        continue
      }
      this.#alone = true
      this.#marks.write(writes, () => {
        this.#alone = false
        done()
        this.#pump()
      })
    }
  }

  #wake(): void {
    while (this.#waiting.length > 0 && this.#waiting[0]!.after <= this.#completed) this.#waiting.shift()!.run()
  }
}
