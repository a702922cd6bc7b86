// The replica's store on lmdb (PROTOCOL 7): atomic write effects in groups, first-in first-out completions after the disk has them,
// reads that see every write queued before them. The first failure ends it: nothing is reported as written afterwards.
import type { Index } from '@coppice/protocol'
import type { Lmdb } from '@coppice/runtime/server'
import type { DiskWrite, ReplicaMeta } from '../core/io.js'
import { removeDead } from './dead-ranges.js'
import { sliceLog } from './log-reader.js'
import { recoverStore } from './recovery.js'
import { openSealed } from './sealed-bytes.js'
import type { LogSlice, RecoveryProgress, RecoverySink, ReplicaStorage, SnapshotPiece } from './storage.js'
import { StoreImage, type StoreView } from './store-image.js'
import { damaged } from './store-marks.js'
import type { StoreTables } from './store-tables.js'

/** Dead keys removed by one transaction. */
const SWEEP_KEYS = 256
const NO_PIECE: SnapshotPiece = { header: undefined, bytes: undefined }

export class LmdbStore implements ReplicaStorage {
  readonly path: string
  onWritten: (token: number) => void = () => undefined
  onFailed: (reason: string) => void = () => undefined

  private readonly lmdb: Lmdb
  private readonly tables: StoreTables
  private readonly release: () => void
  /** Including what is queued and under way. */
  private readonly image: StoreImage
  /** What readers of the tables find. */
  private durable: StoreView
  private queued = 0
  private completed = 0
  private readonly waiting: { readonly after: number; readonly run: () => void }[] = []
  private sweeping = false
  private failure: string | undefined
  private closing = false

  constructor(lmdb: Lmdb, tables: StoreTables, release: () => void) {
    this.lmdb = lmdb
    this.tables = tables
    this.release = release
    this.path = tables.path
    this.image = new StoreImage(tables)
    this.durable = this.image.view()
    // What a crash left half swept.
    this.maybeSweep()
  }

  get meta(): ReplicaMeta {
    return this.durable.meta
  }

  write(token: number, writes: readonly DiskWrite[]): void {
    this.enqueue(writes, () => this.onWritten(token))
  }

  async readLog(from: Index, to: Index, maxBytes: number): Promise<LogSlice> {
    await this.drained()
    return this.reading(() => sliceLog(this.tables, this.durable.manifest, from, to, maxBytes))
  }

  async readSnapshot(snapshotId: string, chunk: number): Promise<SnapshotPiece> {
    await this.drained()
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

  drained(): Promise<void> {
    if (this.queued === this.completed) return Promise.resolve()
    return new Promise((resolve) => this.waiting.push({ after: this.queued, run: resolve }))
  }

  async recover(sink: RecoverySink, onProgress: (progress: RecoveryProgress) => void): Promise<void> {
    // Whoever was writing these is gone: only a core's memory knows how far they got and where they came from.
    const orphans = this.image.manifest.unfinished
    if (orphans.length > 0)
      this.enqueue(
        orphans.map(({ snapshotId }) => ({ kind: 'snapshotDrop', snapshotId })),
        () => undefined,
      )
    await this.drained()
    await recoverStore(this.tables, this.durable, sink, onProgress)
  }

  async close(): Promise<void> {
    this.closing = true
    await this.lmdb.close()
    this.release()
  }

  /** From the environment: a commit failed. */
  fail(reason: string): void {
    if (this.failure !== undefined) return
    this.failure = reason
    this.onFailed(reason)
  }

  private enqueue(writes: readonly DiskWrite[], written: () => void): void {
    this.queued++
    let after: StoreView
    this.commit(
      () => {
        this.image.put(writes)
        after = this.image.view()
      },
      () => {
        const cut = this.durable.manifest !== after.manifest
        this.durable = after
        this.image.seen(writes)
        this.completed++
        written()
        this.wake()
        if (cut) this.maybeSweep()
      },
    )
  }

  private commit(writes: () => void, durable: () => void): void {
    const run = (): void => {
      if (this.failure !== undefined) return
      try {
        writes()
      } catch (error) {
        // Nothing of this effect was put, and nothing after it may be.
        this.fail(`${this.path}: ${(error as Error).message}`)
      }
    }
    this.lmdb.commit(run, () => {
      if (this.failure === undefined) durable()
    })
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
    while (this.waiting.length > 0 && this.waiting[0]!.after <= this.completed) this.waiting.shift()!.run()
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
    this.commit(remove, () => {
      this.sweeping = false
      if (more) this.maybeSweep()
    })
  }
}
