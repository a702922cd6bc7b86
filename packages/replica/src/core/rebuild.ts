// A state that is rebuilt from the chunks of a snapshot while they arrive (PROTOCOL 5): once the last one is on the disk nothing is left to do.
// It is used only after the snapshot is committed there, and holds what a recovery would read. The state before it is dropped when
// this begins, so that two never stand in memory together; its log and its snapshot stay on the disk until the commit.
import { assert } from '@coppice/protocol'
import type { BytesPort } from '@coppice/protocol'
import { ChangeLog } from './change-log.js'
import { ClerkTable } from './exactly-once.js'
import type { Rebuilt, SnapshotHeader } from './io.js'
import { SnapshotLoader } from './snapshots.js'
import type { StateMachine } from './state-machine.js'

export class Rebuild {
  readonly #machine: StateMachine
  readonly #table: ClerkTable
  readonly #changes: ChangeLog
  readonly #loader: SnapshotLoader
  /** Chunks behind one that is not here; no more than are under way. */
  readonly #early = new Map<number, Uint8Array>()
  #next = 0

  /** `machine` loses its state. */
  constructor(machine: StateMachine, bytes: BytesPort, changeLogBytes: number | undefined) {
    this.#machine = machine
    this.#table = new ClerkTable(bytes)
    this.#changes = new ChangeLog(changeLogBytes)
    this.#loader = new SnapshotLoader(this.#table, machine, this.#changes)
  }

  /** Takes a chunk, each once, in any order: they are loaded in theirs. Throws DecodeError on what no capture wrote. */
  add(chunk: number, bytes: Uint8Array): void {
    this.#early.set(chunk, bytes)
    for (let next = this.#early.get(this.#next); next !== undefined; next = this.#early.get(this.#next)) {
      this.#early.delete(this.#next++)
      this.#loader.add(next)
    }
  }

  /** All chunks are here: the state of the snapshot with this header. Throws DecodeError when it is not whole. */
  finish(header: SnapshotHeader): Rebuilt {
    assert(this.#next === header.chunks, `the snapshot has ${this.#next} of ${header.chunks} chunks`)
    this.#loader.finish(header.index)
    const { elapsedMs } = this.#loader
    return { header, machine: this.#machine, table: this.#table, changes: this.#changes, elapsedMs }
  }
}
