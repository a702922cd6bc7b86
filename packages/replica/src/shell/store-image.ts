// What the store holds once everything queued so far is written: turns the writes of an effect into puts, in order, and keeps the
// manifest, the end of the log and the marks. Asserts on the core's side of the boundary: a log without holes, cuts at record
// boundaries, snapshots with all their pieces.
import { assert, unreachable, type Index } from '@coppice/protocol'
import type { DiskWrite, ReplicaMeta, SnapshotHeader } from '../core/io.js'
import { firstRecordKey, isBoundary } from './log-reader.js'
import {
  beginSnapshot,
  commitSnapshot,
  cutPrefix,
  cutSuffix,
  dropSnapshot,
  lastGeneration,
  type Manifest,
} from './manifest.js'
import { sealBytes } from './sealed-bytes.js'
import { needMark, putMark, readManifest } from './store-marks.js'
import { positionOf, type ChunkKey, type RecordKey, type StoreTables } from './store-tables.js'

/** The parts of an image that readers need. */
export interface StoreView {
  readonly meta: ReplicaMeta
  readonly manifest: Manifest
  /** Exclusive end of the log; null while it has no record. */
  readonly end: Index | null
}

export class StoreImage implements StoreView {
  private readonly tables: StoreTables
  meta: ReplicaMeta
  manifest: Manifest
  end: Index | null
  /** First indexes of records put and not yet visible to readers of the tables. */
  private readonly unseen = new Set<Index>()
  /** Pieces written so far of each unfinished snapshot, by slot. */
  private readonly piecesBySlot = new Map<number, Set<number>>()

  constructor(tables: StoreTables) {
    this.tables = tables
    this.meta = needMark(tables, 'meta')
    this.manifest = readManifest(tables)
    this.end = needMark(tables, 'tail').end
    for (const { slot } of this.manifest.unfinished) {
      for (const key of tables.chunks.keys({ start: [slot, 0], end: [slot + 1, 0] }))
        this.piecesOf(slot).add(positionOf(key))
    }
  }

  /** Inside a commit: puts all of `writes`. Everything is checked before the first put, so that a refused effect leaves nothing. */
  put(writes: readonly DiskWrite[]): void {
    const before: StoreView = { meta: this.meta, manifest: this.manifest, end: this.end }
    const puts: (() => void)[] = []
    for (const write of writes) this.plan(write, puts)
    for (const put of puts) put()
    if (this.meta !== before.meta) putMark(this.tables, 'meta', this.meta)
    if (this.manifest !== before.manifest) putMark(this.tables, 'manifest', this.manifest)
    if (this.end !== before.end) putMark(this.tables, 'tail', { end: this.end })
  }

  view(): StoreView {
    return { meta: this.meta, manifest: this.manifest, end: this.end }
  }

  /** Readers see these writes now. */
  seen(writes: readonly DiskWrite[]): void {
    for (const write of writes) if (write.kind === 'record') this.unseen.delete(write.firstIndex)
  }

  private plan(write: DiskWrite, puts: (() => void)[]): void {
    switch (write.kind) {
      case 'record':
        return this.planRecord(write.firstIndex, write.entries, write.bytes, puts)
      case 'meta':
        this.meta = write.meta
        return
      case 'cutSuffix':
        return this.cutSuffix(write.from)
      case 'cutPrefix':
        this.manifest = cutPrefix(this.manifest, Math.min(write.below, this.end ?? 0))
        return
      case 'snapshotChunk':
        return this.planChunk(write.snapshotId, write.chunk, write.bytes, puts)
      case 'snapshotCommit':
        return this.commitSnapshot(write.header)
      case 'snapshotDrop':
        this.manifest = dropSnapshot(this.manifest, write.snapshotId)
        return
      default:
        return unreachable(write)
    }
  }

  private planRecord(firstIndex: Index, entries: number, bytes: Uint8Array, puts: (() => void)[]): void {
    assert(
      this.end === null || firstIndex === this.end,
      `record ${firstIndex} continues the log, which ends at ${this.end}`,
    )
    assert(entries > 0, 'a record has entries')
    const key: RecordKey = [lastGeneration(this.manifest), firstIndex]
    puts.push(() => this.tables.log.put(key, bytes))
    this.unseen.add(firstIndex)
    this.end = firstIndex + entries
  }

  private cutSuffix(from: Index): void {
    if (this.end === null || from >= this.end) return
    const first = firstRecordKey(this.tables, this.manifest)?.[1] ?? Math.min(...this.unseen)
    if (from <= first) {
      this.manifest = cutSuffix(this.manifest, 0)
      this.end = null
      return
    }
    const boundary = this.unseen.has(from) || isBoundary(this.tables, this.manifest, from)
    assert(boundary, `the log is cut at ${from}, which is the first index of a record`)
    this.manifest = cutSuffix(this.manifest, from)
    this.end = from
  }

  private planChunk(snapshotId: string, chunk: number, bytes: Uint8Array, puts: (() => void)[]): void {
    const { manifest, slot } = beginSnapshot(this.manifest, snapshotId)
    this.manifest = manifest
    const key: ChunkKey = [slot, chunk]
    puts.push(() => this.tables.chunks.put(key, sealBytes(bytes)))
    this.piecesOf(slot).add(chunk)
  }

  private commitSnapshot(header: SnapshotHeader): void {
    this.manifest = commitSnapshot(this.manifest, header)
    const pieces = this.piecesOf(this.manifest.snapshot!.slot)
    for (let chunk = 0; chunk < header.chunks; chunk++) {
      assert(pieces.has(chunk), `snapshot ${header.snapshotId} has piece ${chunk} of ${header.chunks}`)
    }
    this.piecesBySlot.clear()
  }

  private piecesOf(slot: number): Set<number> {
    let pieces = this.piecesBySlot.get(slot)
    if (pieces === undefined) this.piecesBySlot.set(slot, (pieces = new Set()))
    return pieces
  }
}
