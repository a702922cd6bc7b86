// What a replica's store holds, in memory: marks, records, snapshots (PROTOCOL 7). The simulator's disks and the store in memory make writes durable
// by it. Writes against the contract of io.ts (a gap, a cut inside a record) are refused by an InvariantError.
import { assert, GENESIS_NEXT } from '@coppice/protocol'
import type { Index } from '@coppice/protocol'
import type { DiskWrite, ReplicaMeta, SnapshotHeader, SnapshotOrigin, UnfinishedSnapshot } from './io.js'

/** One record of the log as a store holds it. */
export interface StoredRecord {
  readonly firstIndex: Index
  readonly entries: number
  readonly bytes: Uint8Array
}

/** The content of a replica's store in memory: what its writes have made durable. */
export class StoreContent {
  meta: ReplicaMeta
  /** Contiguous, ascending. */
  records: StoredRecord[] = []
  /** The snapshot used at recovery. */
  snapshot: SnapshotHeader | undefined
  readonly chunksBySnapshot = new Map<string, Uint8Array[]>()
  /** The snapshot that is brought from another replica. */
  private copy: { readonly snapshotId: string; readonly origin: SnapshotOrigin } | undefined

  constructor(meta: ReplicaMeta) {
    this.meta = meta
  }

  /** What is here of a snapshot that was being brought. */
  get unfinished(): UnfinishedSnapshot | undefined {
    const { copy } = this
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
    return this.snapshot?.index ?? GENESIS_NEXT
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
      case 'record': {
        const { firstIndex, entries, bytes } = write
        assert(firstIndex === this.end, `record at ${firstIndex} continues the log, which ends at ${this.end}`)
        this.records.push({ firstIndex, entries, bytes })
        return
      }
      case 'meta':
        this.meta = write.meta
        return
      case 'cutSuffix': {
        const at = this.positionOf(write.from)
        const record = this.records[at]
        assert(
          record === undefined || record.firstIndex >= write.from,
          `cutSuffix ${write.from} is at the boundary of a record`,
        )
        this.records.length = at
        return
      }
      case 'cutPrefix':
        return this.cutPrefix(write.below)
      case 'snapshotBegin': {
        const { snapshotId, origin, resumes } = write
        const chunks = this.chunksBySnapshot.get(resumes ?? snapshotId) ?? []
        if (resumes !== undefined) this.chunksBySnapshot.delete(resumes)
        this.chunksBySnapshot.set(snapshotId, chunks)
        this.copy = { snapshotId, origin }
        return
      }
      case 'snapshotChunk': {
        const chunks = this.chunksBySnapshot.get(write.snapshotId) ?? []
        chunks[write.chunk] = write.bytes.slice()
        this.chunksBySnapshot.set(write.snapshotId, chunks)
        return
      }
      case 'snapshotCommit':
        return this.commitSnapshot(write.header)
      case 'snapshotDrop':
        if (write.snapshotId !== this.snapshot?.snapshotId) this.chunksBySnapshot.delete(write.snapshotId)
    }
  }

  /** Whole records from `from`, none reaching over `to`, about `maxBytes`, at least one; empty when `from` is no boundary or not there. */
  read(from: Index, to: Index, maxBytes: number): { next: Index; records: Uint8Array } {
    const first = this.positionOf(from)
    if (this.records[first]?.firstIndex !== from) return { next: from, records: new Uint8Array(0) }
    let at = first
    let bytes = 0
    let next = from
    while (at < this.records.length) {
      const record = this.records[at]!
      if (record.firstIndex + record.entries > to || (at > first && bytes + record.bytes.length > maxBytes)) break
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

  private cutPrefix(below: Index): void {
    let at = 0
    for (const r of this.records) {
      if (r.firstIndex + r.entries > below) break
      at++
    }
    this.records.splice(0, at)
  }

  private commitSnapshot(header: SnapshotHeader): void {
    const chunks = this.chunksBySnapshot.get(header.snapshotId) ?? []
    for (let i = 0; i < header.chunks; i++)
      assert(chunks[i] !== undefined, `snapshot ${header.snapshotId} has chunk ${i} of ${header.chunks}`)
    this.snapshot = header
    for (const id of this.chunksBySnapshot.keys()) if (id !== header.snapshotId) this.chunksBySnapshot.delete(id)
  }
}
