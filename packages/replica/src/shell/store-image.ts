// What the marks of the store are once everything queued so far is written: turns the writes of an effect into puts, in order. Asserts on
// the core's side of the boundary: cuts at record boundaries, snapshots with all their pieces.
import { assert, CHUNK_BYTES, unreachable, type Index } from '@coppice/protocol'
import type { DiskWrite, ReplicaMeta, SnapshotHeader, UnfinishedSnapshot } from '../core/io.js'
import { SpareBytes } from '../core/spare-bytes.js'
import type { SegmentLog } from './log/segment-log.js'
import {
  beginCopy,
  beginSnapshot,
  commitSnapshot,
  cutPrefix,
  cutSuffix,
  dropSnapshot,
  type Manifest,
} from './manifest.js'
import { SEAL_BYTES, sealBytes } from './sealed-bytes.js'
import { needMark, putMark, readManifest, type LogMark } from './store-marks.js'
import { pieceOf, type ChunkKey, type StoreTables } from './store-tables.js'

/** The parts of an image that readers need. */
export interface StoreView {
  readonly meta: ReplicaMeta
  readonly manifest: Manifest
}

export class StoreImage implements StoreView {
  private readonly tables: StoreTables
  meta: ReplicaMeta
  manifest: Manifest
  log: LogMark
  /** Pieces written so far of each unfinished snapshot, by slot. */
  private readonly piecesBySlot = new Map<number, Set<number>>()
  private readonly memory = new SpareBytes(CHUNK_BYTES)

  constructor(tables: StoreTables) {
    this.tables = tables
    this.meta = needMark(tables, 'meta')
    this.manifest = readManifest(tables)
    this.log = needMark(tables, 'log')
    for (const { slot } of this.manifest.unfinished) {
      for (const key of tables.chunks.keys({ start: [slot, 0], end: [slot + 1, 0] }))
        this.piecesOf(slot).add(pieceOf(key))
    }
  }

  /**
   * Inside a commit: puts all of `writes` but records, and what is known of the log. Everything is checked before the first put, so that
   * a refused effect leaves nothing. Returns what lmdb reads until the commit is durable; then `giveBack` takes it.
   */
  put(writes: readonly DiskWrite[], segments: SegmentLog, known: Partial<LogMark>): readonly Uint8Array[] {
    const before = this.view()
    const pieces: [ChunkKey, Uint8Array][] = []
    for (const write of writes) this.plan(write, segments, pieces)
    const end = segments.end(this.manifest)
    const lent = pieces.map(([key, bytes]) => {
      const sealed = sealBytes(bytes, this.memory.take(SEAL_BYTES + bytes.length))
      this.tables.chunks.put(key, sealed)
      return sealed
    })
    if (this.meta !== before.meta) putMark(this.tables, 'meta', this.meta)
    if (this.manifest !== before.manifest) putMark(this.tables, 'manifest', this.manifest)
    this.putLog({ ...known, end })
    return lent
  }

  /** The newest snapshot that was being brought; undefined: none was. */
  get unfinished(): UnfinishedSnapshot | undefined {
    const newest = this.manifest.unfinished.findLast(({ origin }) => origin !== undefined)
    if (newest?.origin === undefined) return undefined
    const { snapshotId, origin, slot } = newest
    return { snapshotId, origin, have: [...this.piecesOf(slot)] }
  }

  giveBack(lent: readonly Uint8Array[]): void {
    for (const bytes of lent) this.memory.giveBack(bytes)
  }

  /** Inside a commit: what is known of the log. */
  putLog(known: Partial<LogMark>): void {
    const before = this.log
    const log = { ...before, ...known }
    if (log.end === before.end && log.mixed === before.mixed && log.prepared === before.prepared) return
    this.log = log
    putMark(this.tables, 'log', log)
  }

  view(): StoreView {
    return { meta: this.meta, manifest: this.manifest }
  }

  private plan(write: DiskWrite, segments: SegmentLog, pieces: [ChunkKey, Uint8Array][]): void {
    switch (write.kind) {
      case 'record':
        return
      case 'meta':
        this.meta = write.meta
        return
      case 'cutSuffix':
        return this.cutSuffix(write.from, segments)
      case 'cutPrefix':
        this.manifest = cutPrefix(this.manifest, Math.min(write.below, segments.end(this.manifest) ?? 0))
        return
      case 'snapshotBegin':
        this.manifest = beginCopy(this.manifest, write.snapshotId, write.origin, write.resumes)
        return
      case 'snapshotChunk':
        return this.planChunk(write.snapshotId, write.chunk, write.bytes, pieces)
      case 'snapshotCommit':
        return this.commitSnapshot(write.header)
      case 'snapshotDrop':
        this.manifest = dropSnapshot(this.manifest, write.snapshotId)
        return
      default:
        return unreachable(write)
    }
  }

  private cutSuffix(from: Index, segments: SegmentLog): void {
    const end = segments.end(this.manifest)
    // Nothing counts, but what was cut before may lie where the next record would go.
    if (end !== null && from >= end) return
    const first = segments.first(this.manifest)
    const whole = first === undefined || from <= first
    assert(
      whole || segments.isBoundary(this.manifest, from),
      `the log is cut at ${from}, which is the first index of a record`,
    )
    this.manifest = cutSuffix(this.manifest, whole ? 0 : from, segments.writer.numberAfterCut)
  }

  private planChunk(snapshotId: string, chunk: number, bytes: Uint8Array, pieces: [ChunkKey, Uint8Array][]): void {
    const { manifest, slot } = beginSnapshot(this.manifest, snapshotId)
    this.manifest = manifest
    pieces.push([[slot, chunk], bytes])
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
