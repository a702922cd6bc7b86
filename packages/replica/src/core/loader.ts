// Recovery: snapshot, then the log behind it, become a core (PROTOCOL 0, 7). What is inconsistent is refused: the store then waits
// for an operator, it never guesses.
import { assert, epochAt, openRecord } from '@coppice/protocol'
import type { BytesPort, Millis } from '@coppice/protocol'
import { Applier } from './apply.js'
import { ChangeLog } from './change-log.js'
import { ClerkTable } from './exactly-once.js'
import type { Rebuilt, ReplicaMeta, ReplicaOptions, SnapshotHeader, UnfinishedSnapshot } from './io.js'
import { Log } from './log.js'
import { ReplicaNode } from './replica-node.js'
import { SnapshotLoader } from './snapshots.js'
import type { StateMachine } from './state-machine.js'

/** Makes a core of what a disk has: give it the snapshot's chunks and the log's records, in their order, then `finish`. */
export class ReplicaLoader {
  readonly #options: ReplicaOptions
  readonly #meta: ReplicaMeta
  readonly #machine: StateMachine
  readonly #bytes: BytesPort
  readonly #table: ClerkTable
  readonly #changes: ChangeLog
  readonly #applier: Applier
  readonly #log: Log
  #snapshot: { header: SnapshotHeader; loader: SnapshotLoader; next: number } | undefined
  /** The state is that of the snapshot already: its chunks are not asked for. */
  readonly #rebuilt: Rebuilt | undefined
  #first = true

  /** `state`: an empty machine, or the state of the snapshot on the disk. */
  constructor(options: ReplicaOptions, meta: ReplicaMeta, state: StateMachine | Rebuilt, bytes: BytesPort) {
    this.#options = options
    this.#meta = meta
    this.#bytes = bytes
    this.#rebuilt = 'header' in state ? state : undefined
    this.#machine = 'header' in state ? state.machine : state
    this.#table = this.#rebuilt?.table ?? new ClerkTable(bytes)
    this.#changes = this.#rebuilt?.changes ?? new ChangeLog(options.changeLogBytes)
    this.#applier = new Applier(this.#machine, this.#table, this.#changes)
    this.#log = new Log(options.minLogBytesKept)
  }

  /** The chunks of the committed snapshot, in order, before any record. */
  addSnapshotChunk(header: SnapshotHeader, chunk: number, bytes: Uint8Array): void {
    assert(this.#rebuilt === undefined, 'a snapshot is loaded once')
    if (this.#snapshot === undefined) {
      const { digest } = this.#machine
      assert(header.digest === digest, `the snapshot is of machine ${header.digest}, this is ${digest}`)
      this.#snapshot = { header, loader: new SnapshotLoader(this.#table, this.#machine, this.#changes), next: 0 }
    }
    assert(chunk === this.#snapshot.next, `snapshot chunk ${this.#snapshot.next} is missing`)
    this.#snapshot.loader.add(bytes)
    this.#snapshot.next++
  }

  /** The records of the log, in order; those below the snapshot are known but not applied. */
  addRecord(bytes: Uint8Array): void {
    this.#begin()
    const header = openRecord(bytes, this.#bytes.crc32)
    const end = header.firstIndex + header.entries
    if (end <= this.#log.snapshotIndex) return this.#log.foundBelowSnapshot(header.firstIndex, bytes.length)
    const { nextIndex } = this.#log
    assert(header.firstIndex === nextIndex, `the log has a record at ${header.firstIndex} where ${nextIndex} follows`)
    const epoch = epochAt(this.#meta.lineage, header.firstIndex)
    assert(
      epoch === header.epoch,
      `the record at ${header.firstIndex} is of epoch ${header.epoch}, its lineage says ${epoch}`,
    )
    this.#applier.record(header, bytes)
    this.#log.appended(header.firstIndex, end, bytes.length, header.elapsedMs)
  }

  /** `unfinished`: what the disk holds of a snapshot that was being brought. */
  finish(now: Millis, unfinished?: UnfinishedSnapshot): ReplicaNode {
    this.#begin()
    for (const [epoch, start] of this.#meta.lineage) {
      assert(
        start <= this.#log.nextIndex,
        `epoch ${epoch} began at ${start}, but the log ends at ${this.#log.nextIndex}`,
      )
    }
    const snapshotId = (this.#rebuilt ?? this.#snapshot)?.header.snapshotId ?? ''
    const recovered = {
      meta: this.#meta,
      log: this.#log,
      table: this.#table,
      changes: this.#changes,
      applier: this.#applier,
      snapshotId,
      unfinished,
    }
    return new ReplicaNode(this.#options, this.#machine, this.#bytes, recovered, now)
  }

  /** Ends the snapshot, if there is one: the log goes on from its index. */
  #begin(): void {
    if (!this.#first) return
    this.#first = false
    if (this.#rebuilt !== undefined) return this.#startAt(this.#rebuilt.header, this.#rebuilt.elapsedMs)
    if (this.#snapshot === undefined) return
    const { header, loader, next } = this.#snapshot
    assert(next === header.chunks, `the snapshot has ${next} of ${header.chunks} chunks`)
    loader.finish(header.index)
    this.#startAt(header, loader.elapsedMs)
  }

  #startAt(header: SnapshotHeader, elapsedMs: Millis): void {
    const log = this.#log
    log.nextIndex = log.base = log.snapshotIndex = header.index
    log.snapshotBytes = header.totalBytes
    log.elapsedMs = elapsedMs
  }
}
