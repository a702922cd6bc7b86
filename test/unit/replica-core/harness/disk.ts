// A disk that survives its server: writes become durable in order when they are told to, what is under way at a crash is lost.
import { readRecordHeader } from '@coppice/protocol'
import type { Index } from '@coppice/protocol'
import { formatMeta, ReplicaLoader } from '@coppice/replica'
import type {
  DiskWrite,
  Rebuilt,
  ReplicaNode,
  ReplicaOptions,
  SnapshotHeader,
  StateMachine,
  UnfinishedSnapshot,
} from '@coppice/replica'
import { testBytes } from './bytes.js'

export class TestDisk {
  meta
  records: Uint8Array[] = []
  snapshot: { header: SnapshotHeader; chunks: Uint8Array[] } | undefined
  readonly staged = new Map<string, Uint8Array[]>()
  copy: Omit<UnfinishedSnapshot, 'have'> | undefined

  constructor(id: string) {
    this.meta = formatMeta({ id, group: 'main', storeId: `store-${id}` })
  }

  apply(writes: readonly DiskWrite[]): void {
    for (const w of writes) {
      switch (w.kind) {
        case 'record':
          if (w.firstIndex !== this.end) throw new Error(`record at ${w.firstIndex}, the log ends at ${this.end}`)
          this.records.push(w.bytes)
          break
        case 'meta':
          this.meta = w.meta
          break
        case 'cutSuffix': {
          if (
            w.from > 0 &&
            w.from !== this.end &&
            !this.records.some((r) => readRecordHeader(r).firstIndex === w.from)
          ) {
            throw new Error(`cut at ${w.from}, which is no record boundary`)
          }
          this.records = this.records.filter((r) => readRecordHeader(r).firstIndex < w.from)
          break
        }
        case 'cutPrefix':
          this.records = this.records.filter((r) => endOf(r) > w.below)
          break
        case 'snapshotBegin': {
          const { snapshotId, origin, resumes } = w
          const chunks = this.staged.get(resumes ?? snapshotId) ?? []
          if (resumes !== undefined) this.staged.delete(resumes)
          this.staged.set(snapshotId, chunks)
          this.copy = { snapshotId, origin }
          break
        }
        case 'snapshotChunk': {
          const chunks = this.staged.get(w.snapshotId) ?? []
          chunks[w.chunk] = w.bytes.slice()
          this.staged.set(w.snapshotId, chunks)
          break
        }
        case 'snapshotCommit': {
          const chunks = this.staged.get(w.header.snapshotId) ?? []
          if (chunks.length !== w.header.chunks) throw new Error('a snapshot was committed without all its chunks')
          this.snapshot = { header: w.header, chunks }
          this.staged.clear()
          break
        }
        case 'snapshotDrop':
          this.staged.delete(w.snapshotId)
          break
      }
    }
  }

  get end(): Index {
    const last = this.records[this.records.length - 1]
    return last === undefined ? (this.snapshot?.header.index ?? 1) : endOf(last)
  }

  /** Whole records [from, …), at least one, about maxBytes, none at or beyond `to`. */
  read(from: Index, to: Index, maxBytes: number): { next: Index; records: Uint8Array } {
    const out: Uint8Array[] = []
    let next = from
    let bytes = 0
    for (const r of this.records) {
      if (readRecordHeader(r).firstIndex !== next || endOf(r) > to) continue
      if (out.length > 0 && bytes + r.length > maxBytes) break
      out.push(r)
      bytes += r.length
      next = endOf(r)
    }
    return { next, records: new Uint8Array(Buffer.concat(out)) }
  }

  load(options: ReplicaOptions, state: StateMachine | Rebuilt, now: number): ReplicaNode {
    const loader = new ReplicaLoader(options, this.meta, state, testBytes)
    if (!('header' in state))
      this.snapshot?.chunks.forEach((c, i) => loader.addSnapshotChunk(this.snapshot!.header, i, c))
    for (const r of this.records) loader.addRecord(r)
    const chunks = this.copy === undefined ? undefined : this.staged.get(this.copy.snapshotId)
    const have = Object.keys(chunks ?? []).map(Number)
    return loader.finish(now, chunks === undefined ? undefined : { ...this.copy!, have })
  }
}

function endOf(record: Uint8Array): Index {
  const h = readRecordHeader(record)
  return h.firstIndex + h.entries
}
