// The replica's store (PROTOCOL 7): records go to log segments, everything else to lmdb. Effects of the log's lane are durable one after the
// other in the order of the calls; bulk (pieces of snapshots) has a lane of its own, so that the log never waits for it. The first
// failure ends the store: nothing is reported as written afterwards.
import { assert, type Index } from '@coppice/protocol'
import { setImmediate } from '@coppice/runtime'
import { StartupError, type Lmdb } from '@coppice/runtime/server'
import { isBulk } from '../core/disk-lanes.js'
import type { DiskWrite, ReplicaMeta, UnfinishedSnapshot } from '../core/io.js'
import { removeDead } from './dead-ranges.js'
import type { SegmentFiles } from './log/segment-files.js'
import { SegmentLog } from './log/segment-log.js'
import { lastGeneration } from './manifest.js'
import { recoverStore } from './recovery.js'
import { openSealed } from './sealed-bytes.js'
import { sliceLog } from './slice-log.js'
import type { LogSlice, RecoveryProgress, RecoverySink, ReplicaStorage, SnapshotPiece } from './storage.js'
import { StoreImage, type StoreView } from './store-image.js'
import { damaged, type LogMark } from './store-marks.js'
import type { StoreTables } from './store-tables.js'

/** Dead keys removed by one transaction. */
const SWEEP_KEYS = 256
const NO_PIECE: SnapshotPiece = { header: undefined, bytes: undefined }

type RecordWrite = Extract<DiskWrite, { kind: 'record' }>

/** An effect of the log's lane. */
interface Queued {
  readonly writes: readonly DiskWrite[]
  readonly written: () => void
}

/** How many effects of each lane. */
interface Lanes {
  log: number
  bulk: number
}

/** Somebody who waits until so many are durable. */
interface Waiting extends Readonly<Lanes> {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/**
 * The store of a data directory: log segments and lmdb. `openReplicaStore` makes one.
 * @internal
 */
export class DiskStore implements ReplicaStorage {
  readonly path: string
  onWritten: (token: number) => void = () => undefined
  onFailed: (reason: string) => void = () => undefined

  private readonly lmdb: Lmdb
  private readonly tables: StoreTables
  private readonly release: () => void
  private segments!: SegmentLog
  /** Including what is queued in lmdb and under way. */
  private readonly image: StoreImage
  /** What readers of the tables find. */
  private durable: StoreView
  /** Exclusive end of what was given to the segments; null: nothing. */
  private end: Index | null = null
  /** Effects that wait for one with marks, which runs alone. */
  private readonly lane: Queued[] = []
  private alone = false
  private recordsUnderWay = 0
  /** Effects of each lane that were queued, and those of them that are durable. */
  private readonly queued: Lanes = { log: 0, bulk: 0 }
  private readonly completed: Lanes = { log: 0, bulk: 0 }
  private waiting: Waiting[] = []
  private sweeping = false
  private failure: string | undefined
  private closing = false

  private constructor(lmdb: Lmdb, tables: StoreTables, release: () => void) {
    this.lmdb = lmdb
    this.tables = tables
    this.release = release
    this.path = tables.path
    this.image = new StoreImage(tables)
    this.durable = this.image.view()
  }

  /** Throws a StartupError that names what is damaged. */
  static async open(lmdb: Lmdb, tables: StoreTables, files: SegmentFiles, release: () => void): Promise<DiskStore> {
    const store = new DiskStore(lmdb, tables, release)
    const { manifest, log } = store.image
    store.segments = await SegmentLog.open(
      store.path,
      files,
      { manifest, ...log },
      {
        prepared: (prepared) => new Promise((resolve) => lmdb.commit(() => store.image.putLog({ prepared }), resolve)),
        failed: (error) => store.fail(`writing to the log failed: ${error.message}`),
      },
    )
    store.end = store.segments.end(manifest)
    // What a crash left half swept.
    store.maybeSweep()
    return store
  }

  get meta(): ReplicaMeta {
    return this.durable.meta
  }

  get unfinished(): UnfinishedSnapshot | undefined {
    return this.image.unfinished
  }

  write(token: number, writes: readonly DiskWrite[]): void {
    // Whoever comes after the end is told nothing, and disturbs nothing.
    if (this.closing) return
    const lane = isBulk(writes) ? 'bulk' : 'log'
    this.queued[lane]++
    const written = (): void => {
      this.completed[lane]++
      this.onWritten(token)
      this.wake()
    }
    if (lane === 'bulk') return this.commit(writes, {}, written)
    this.lane.push({ writes, written })
    this.pump()
  }

  async readLog(from: Index, to: Index, maxBytes: number): Promise<LogSlice> {
    if (this.failure !== undefined) throw failed(this.failure)
    return this.reading(() => sliceLog(this.segments, this.durable.manifest, from, to, maxBytes))
  }

  async readSnapshot(snapshotId: string, chunk: number): Promise<SnapshotPiece> {
    if (this.failure !== undefined) throw failed(this.failure)
    return this.reading(() => {
      const { snapshot } = this.durable.manifest
      if (snapshot === null || (snapshotId !== '' && snapshotId !== snapshot.header.snapshotId)) return NO_PIECE
      if (chunk < 0 || chunk >= snapshot.header.chunks) return { header: snapshot.header, bytes: undefined }
      const sealed = this.tables.chunks.get([snapshot.slot, chunk])
      const bytes = sealed === undefined ? undefined : openSealed(sealed)
      if (bytes === undefined)
        throw damaged(this.path, `piece ${chunk} of snapshot ${snapshot.header.snapshotId} is damaged or missing`)
      return { header: snapshot.header, bytes }
    })
  }

  /** Resolves once all that was queued before is durable, whatever is queued meanwhile. */
  drained(): Promise<void> {
    const { log, bulk } = this.queued
    if (this.failure !== undefined) return Promise.reject(failed(this.failure))
    if (this.isDurable(log, bulk)) return Promise.resolve()
    return new Promise((resolve, reject) => this.waiting.push({ log, bulk, resolve, reject }))
  }

  async recover(
    sink: RecoverySink,
    known: string | undefined,
    onProgress: (progress: RecoveryProgress) => void,
  ): Promise<void> {
    // Whoever was writing these is gone; of a snapshot that was being brought it is known how far it got and where it came from.
    const kept = this.image.unfinished?.snapshotId
    const orphans = this.image.manifest.unfinished.filter(({ snapshotId }) => snapshotId !== kept)
    if (orphans.length > 0)
      this.commit(
        orphans.map(({ snapshotId }) => ({ kind: 'snapshotDrop', snapshotId })),
        {},
        () => undefined,
      )
    await this.drained()
    await recoverStore(this.tables, this.segments, this.durable, sink, known, onProgress)
  }

  async close(): Promise<void> {
    this.closing = true
    // A failure was told to onFailed; the files are closed all the same.
    await this.markEnd().catch(() => undefined)
    await this.segments.close()
    await this.lmdb.close()
    this.release()
  }

  async abandon(): Promise<void> {
    this.closing = true
    this.onFailed = () => undefined
    // Nothing that waits is begun any more.
    this.fail(`${this.path} was abandoned`)
    await this.segments.close()
    await this.lmdb.close()
    this.release()
  }

  /** An orderly end says exactly where the log ends. */
  private async markEnd(): Promise<void> {
    await this.drained()
    this.queued.bulk++
    this.commit([], {}, () => {
      this.completed.bulk++
      this.wake()
    })
    await this.drained()
  }

  /** A write failed. */
  fail(reason: string): void {
    if (this.failure !== undefined) return
    this.failure = reason
    this.onFailed(reason)
    // Whoever waits for the disk waits in vain, and must not hold up the end.
    for (const w of this.waiting.splice(0)) w.reject(failed(reason))
  }

  private pump(): void {
    while (this.lane.length > 0 && !this.alone && this.failure === undefined) {
      const { writes, written } = this.lane[0]!
      const records = writes.filter((w) => w.kind === 'record')
      const marked = records.length < writes.length || writes.length === 0
      // Marks follow what is before them, and what is behind them follows them.
      if (marked && this.recordsUnderWay > 0) return
      this.lane.shift()
      if (!this.checkRecords(records)) return
      if (!marked) this.append(records, 0, written)
      else {
        this.alone = true
        this.writeMarked(writes, records, () => {
          this.alone = false
          written()
          this.pump()
        })
      }
    }
  }

  private writeMarked(writes: readonly DiskWrite[], records: readonly RecordWrite[], done: () => void): void {
    if (records.length === 0) return this.commit(writes, {}, done)
    // The records count only once lmdb says this number (log/segment-format.ts): all of the effect is there, or nothing.
    const mixed = this.image.log.mixed + 1
    this.append(records, mixed, () => this.commit(writes, { mixed }, done))
  }

  private checkRecords(records: readonly RecordWrite[]): boolean {
    try {
      let { end } = this
      for (const { firstIndex, entries } of records) {
        assert(end === null || firstIndex === end, `record ${firstIndex} continues the log, which ends at ${end}`)
        assert(entries > 0, 'a record has entries')
        end = firstIndex + entries
      }
      this.end = end
      return true
    } catch (error) {
      this.fail(`${this.path}: ${(error as Error).message}`)
      return false
    }
  }

  private append(records: readonly RecordWrite[], mixed: number, durable: () => void): void {
    const last = records.length - 1
    this.recordsUnderWay++
    for (const [i, { firstIndex, entries, bytes }] of records.entries()) {
      this.segments.writer.append(firstIndex, entries, bytes, mixed, i < last ? undefined : this.appended(durable))
    }
  }

  private appended(durable: () => void): () => void {
    return () => {
      this.recordsUnderWay--
      durable()
      if (this.recordsUnderWay === 0 && this.lane.length > 0) this.pump()
    }
  }

  /** One transaction with the marks of `writes`, and what is `known` of the log. */
  private commit(writes: readonly DiskWrite[], known: Partial<LogMark>, durable: () => void): void {
    let after: StoreView
    let lent: readonly Uint8Array[]
    this.lmdb.commit(
      () => {
        if (this.failure !== undefined) return
        try {
          lent = this.image.put(writes, this.segments, known)
          after = this.image.view()
        } catch (error) {
          // Nothing of this effect was put, and nothing after it may be.
          this.fail(`${this.path}: ${(error as Error).message}`)
        }
      },
      () => {
        if (this.failure !== undefined) return
        this.image.giveBack(lent)
        const cut = this.durable.manifest !== after.manifest
        this.durable = after
        if (cut) this.afterCut()
        durable()
      },
    )
  }

  /** What counts has changed. */
  private afterCut(): void {
    const { manifest } = this.durable
    if (this.recordsUnderWay === 0) this.end = this.segments.end(manifest)
    this.segments.writer.goOnAt(lastGeneration(manifest))
    this.segments.retireDead(manifest).catch((error: Error) => this.fail(`${this.path}: ${error.message}`))
    this.maybeSweep()
  }

  /** What was read is damaged: whoever asked gets no answer, the replica stops. */
  private reading<T>(read: () => T): T {
    if (this.closing) throw new Error(`${this.path} is closed`)
    try {
      return read()
    } catch (error) {
      this.fail((error as Error).message)
      throw error
    }
  }

  private wake(): void {
    const { waiting } = this
    if (waiting.length === 0) return
    this.waiting = waiting.filter((w) => !this.isDurable(w.log, w.bulk))
    for (const w of waiting) if (this.isDurable(w.log, w.bulk)) w.resolve()
  }

  private isDurable(log: number, bulk: number): boolean {
    return this.completed.log >= log && this.completed.bulk >= bulk
  }

  private maybeSweep(): void {
    if (this.sweeping || this.closing) return
    this.sweeping = true
    setImmediate(() => this.sweep())
  }

  private sweep(): void {
    if (this.closing || this.failure !== undefined) return
    let more = true
    const remove = (): void => {
      // What is dead by a manifest that readers do not see yet may be alive for them: try again after it is durable.
      if (this.image.manifest !== this.durable.manifest) return
      more = removeDead(this.tables, this.image.manifest, SWEEP_KEYS) === SWEEP_KEYS
    }
    this.lmdb.commit(remove, () => {
      this.sweeping = false
      if (more) this.maybeSweep()
    })
  }
}

function failed(reason: string): StartupError {
  return new StartupError('STORE_UNUSABLE', reason)
}
