// The durable content of one replica store, as the shell's lmdb keeps it: marks, log records, snapshots. Writes against the contract of
// io.ts (a gap, a cut inside a record) are violations of invariant `disk`.
import type { Index } from '@coppice/protocol'
import { formatMeta } from '@coppice/replica'
import type { DiskWrite, ReplicaMeta, SnapshotHeader, SnapshotOrigin, UnfinishedSnapshot } from '@coppice/replica'
import { check } from '../kernel/violation.js'

export interface StoredRecord {
  readonly firstIndex: Index
  readonly entries: number
  readonly bytes: Uint8Array
}

export interface StoreImage {
  readonly meta: ReplicaMeta
  readonly records: readonly StoredRecord[]
  readonly snapshot: SnapshotHeader | undefined
  readonly chunks: readonly (readonly [string, Uint8Array[]])[]
}

/** Called after each durable write, for the oracle. */
export type StoreObserver = (store: ReplicaStore, write: DiskWrite) => void

export class ReplicaStore {
  meta: ReplicaMeta
  /** Contiguous, ascending. */
  records: StoredRecord[] = []
  /** The snapshot used at recovery. */
  snapshot: SnapshotHeader | undefined
  readonly chunksBySnapshot = new Map<string, Uint8Array[]>()
  /** The machine's disk is gone for ever; nothing it acked counts any more. */
  destroyed = false
  /** Highest end its log ever had. */
  highestEnd: Index = 1
  /** The snapshot that is brought from another replica. */
  #copy: { readonly snapshotId: string; readonly origin: SnapshotOrigin } | undefined
  readonly #observe: StoreObserver

  constructor(id: string, group: string, storeId: string, observe: StoreObserver) {
    this.meta = formatMeta({ id, group, storeId })
    this.#observe = observe
  }

  /** A copy of the content, as a backup of the disk would be. */
  save(): StoreImage {
    const chunks = [...this.chunksBySnapshot].map(([id, list]) => [id, list.slice()] as const)
    return { meta: this.meta, records: this.records.slice(), snapshot: this.snapshot, chunks }
  }

  /** The disk is as it was then: what it acknowledged since is forgotten, and counts no more. */
  restore(image: StoreImage): void {
    this.meta = image.meta
    this.records = image.records.slice()
    this.snapshot = image.snapshot
    this.chunksBySnapshot.clear()
    for (const [id, list] of image.chunks) this.chunksBySnapshot.set(id, list.slice())
    this.destroyed = true
  }

  /** What is here of a snapshot that was being brought. */
  get unfinished(): UnfinishedSnapshot | undefined {
    const copy = this.#copy
    const chunks = copy === undefined ? undefined : this.chunksBySnapshot.get(copy.snapshotId)
    if (copy === undefined || chunks === undefined || copy.snapshotId === this.snapshot?.snapshotId) return undefined
    return { ...copy, have: Object.keys(chunks).map(Number) }
  }

  /** End of the durable log (exclusive). */
  get end(): Index {
    const last = this.records.at(-1)
    return last === undefined ? this.emptyEnd : last.firstIndex + last.entries
  }

  /** Where the log continues when it holds no record: after the snapshot, or after genesis. */
  get emptyEnd(): Index {
    return this.snapshot?.index ?? 1
  }

  /** Position of the record that contains `index`, or of the first one after it. */
  positionOf(index: Index): number {
    let low = 0
    let high = this.records.length
    while (low < high) {
      const middle = (low + high) >> 1
      const record = this.records[middle]!
      if (record.firstIndex + record.entries <= index) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Makes one write durable. */
  apply(write: DiskWrite): void {
    switch (write.kind) {
      case 'record':
        check(
          write.firstIndex === this.end,
          'disk',
          () => `${this.meta.id}: record at ${write.firstIndex}, log ends at ${this.end}`,
        )
        this.records.push({ firstIndex: write.firstIndex, entries: write.entries, bytes: write.bytes })
        this.highestEnd = Math.max(this.highestEnd, this.end)
        break
      case 'meta':
        this.meta = write.meta
        break
      case 'cutSuffix': {
        const at = this.positionOf(write.from)
        const record = this.records[at]
        check(
          record === undefined || record.firstIndex >= write.from,
          'disk',
          () => `${this.meta.id}: cutSuffix ${write.from} inside the record at ${record!.firstIndex}`,
        )
        this.records.length = at
        break
      }
      case 'cutPrefix': {
        let at = 0
        for (const r of this.records) {
          if (r.firstIndex + r.entries > write.below) break
          at++
        }
        this.records.splice(0, at)
        break
      }
      case 'snapshotBegin': {
        const { snapshotId, origin, resumes } = write
        const chunks = this.chunksBySnapshot.get(resumes ?? snapshotId) ?? []
        if (resumes !== undefined) this.chunksBySnapshot.delete(resumes)
        this.chunksBySnapshot.set(snapshotId, chunks)
        this.#copy = { snapshotId, origin }
        break
      }
      case 'snapshotChunk': {
        const chunks = this.chunksBySnapshot.get(write.snapshotId) ?? []
        chunks[write.chunk] = write.bytes.slice()
        this.chunksBySnapshot.set(write.snapshotId, chunks)
        break
      }
      case 'snapshotCommit': {
        const { header } = write
        const chunks = this.chunksBySnapshot.get(header.snapshotId) ?? []
        for (let i = 0; i < header.chunks; i++) {
          check(
            chunks[i] !== undefined,
            'disk',
            () => `${this.meta.id}: snapshot ${header.snapshotId} lacks chunk ${i}`,
          )
        }
        this.snapshot = header
        this.highestEnd = Math.max(this.highestEnd, header.index)
        for (const id of this.chunksBySnapshot.keys()) if (id !== header.snapshotId) this.chunksBySnapshot.delete(id)
        break
      }
      case 'snapshotDrop':
        if (write.snapshotId !== this.snapshot?.snapshotId) this.chunksBySnapshot.delete(write.snapshotId)
        break
    }
    this.#observe(this, write)
  }

  /** Whole records from `from` up to `to` or about `maxBytes`; empty when `from` is no boundary or not there. */
  read(from: Index, to: Index, maxBytes: number): { next: Index; records: Uint8Array } {
    const first = this.positionOf(from)
    if (this.records[first]?.firstIndex !== from) return { next: from, records: new Uint8Array(0) }
    let at = first
    let bytes = 0
    let next = from
    while (at < this.records.length) {
      const record = this.records[at]!
      if (record.firstIndex >= to || (at > first && bytes + record.bytes.length > maxBytes)) break
      bytes += record.bytes.length
      next = record.firstIndex + record.entries
      at++
    }
    const records = new Uint8Array(bytes)
    let offset = 0
    for (const record of this.records.slice(first, at)) {
      records.set(record.bytes, offset)
      offset += record.bytes.length
    }
    return { next, records }
  }
}
