// Writes on their way to the disk (R2, PROTOCOL 7): begun in order, durable in order within their lane (disk-lanes.ts), each with what may
// happen only afterwards.
import { assert } from '@coppice/protocol'
import type { Index, Millis } from '@coppice/protocol'
import { isBulk } from './disk-lanes.js'
import type { DiskWrite, ReplicaEffect, ReplicaMeta } from './io.js'

interface PendingWrite {
  readonly token: number
  begunAt: Millis
  /** The log is durable below this once the write is; -1: says nothing about the log. */
  readonly durableTo: Index
  readonly meta: ReplicaMeta | undefined
  /** Bytes in it, and bytes that the disk still had to take when it was begun, itself included. */
  readonly own: number
  readonly bytes: number
  readonly callbacks: (() => void)[]
}

export class DiskQueue {
  /** Everything below is on this disk. */
  durableIndex: Index
  /** The marks that are on this disk. */
  durableMeta: ReplicaMeta
  readonly #effects: ReplicaEffect[]
  readonly #log: PendingWrite[] = []
  readonly #bulk: PendingWrite[] = []
  #nextToken = 1
  #bytes = 0

  constructor(effects: ReplicaEffect[], durableIndex: Index, meta: ReplicaMeta) {
    this.#effects = effects
    this.durableIndex = durableIndex
    this.durableMeta = meta
  }

  /** Begins one atomic write. `durableTo`: end of the records in it, or -1. `then` runs once it is durable. */
  write(now: Millis, writes: readonly DiskWrite[], durableTo: Index, then?: () => void): void {
    const token = this.#nextToken++
    let meta: ReplicaMeta | undefined
    let own = 0
    for (const w of writes) {
      if (w.kind === 'meta') meta = w.meta
      else if (w.kind === 'record' || w.kind === 'snapshotChunk') own += w.bytes.length
    }
    this.#bytes += own
    const callbacks = then === undefined ? [] : [then]
    const lane = isBulk(writes) ? this.#bulk : this.#log
    lane.push({ token, begunAt: now, durableTo, meta, own, bytes: this.#bytes, callbacks })
    this.#effects.push({ kind: 'write', token, writes })
  }

  /** Runs `then` once everything begun so far in the log's lane is durable: at once when it is. */
  whenDurable(then: () => void): void {
    const last = this.#log[this.#log.length - 1]
    if (last === undefined) then()
    else last.callbacks.push(then)
  }

  onWritten(token: number): void {
    const lane = this.#bulk[0]?.token === token ? this.#bulk : this.#log
    const first = lane.shift()
    assert(
      first !== undefined && first.token === token,
      'writes become durable in the order in which they were begun (R2)',
    )
    this.#bytes -= first.own
    if (first.durableTo > this.durableIndex) this.durableIndex = first.durableTo
    if (first.meta !== undefined) this.durableMeta = first.meta
    for (const run of first.callbacks) run()
  }

  /** Of both lanes. */
  get outstanding(): number {
    return this.#log.length + this.#bulk.length
  }

  /** When the oldest write of the log's lane that is not durable was begun; Infinity: there is none. */
  get oldestBegunAt(): Millis {
    return this.#log[0]?.begunAt ?? Infinity
  }

  /** Bytes the disk was given up to and including that write, and had not taken when it was begun. */
  get oldestBytes(): number {
    return this.#log[0]?.bytes ?? 0
  }

  /** The process was stopped for so long: the disk cannot be blamed for that time. */
  forgive(sleptMs: Millis): void {
    for (const p of this.#log) p.begunAt += sleptMs
  }
}
