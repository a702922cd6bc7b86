// The durable content of one replica store, observed by the oracle. Writes against the contract of io.ts are violations of invariant `disk`.
import { InvariantError } from '@coppice/protocol'
import type { Index } from '@coppice/protocol'
import { formatMeta, StoreContent } from '@coppice/replica'
import type { DiskWrite, ReplicaMeta, SnapshotHeader, StoredRecord } from '@coppice/replica'
import { Violation } from '../kernel/violation.js'

export interface StoreImage {
  readonly meta: ReplicaMeta
  readonly records: readonly StoredRecord[]
  readonly snapshot: SnapshotHeader | undefined
  readonly chunks: readonly (readonly [string, Uint8Array[]])[]
}

/** Called after each durable write, for the oracle. */
export type StoreObserver = (store: ReplicaStore, write: DiskWrite) => void

export class ReplicaStore extends StoreContent {
  /** The machine's disk is gone for ever; nothing it acked counts any more. */
  destroyed = false
  /** Highest end its log ever had. */
  highestEnd: Index = 1
  readonly #observe: StoreObserver

  constructor(id: string, group: string, storeId: string, observe: StoreObserver) {
    super(formatMeta({ id, group, storeId }))
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

  override apply(write: DiskWrite): void {
    try {
      super.apply(write)
    } catch (error) {
      if (!(error instanceof InvariantError)) throw error
      throw new Violation('disk', `${this.meta.id}: not so: ${error.message}`)
    }
    this.highestEnd = Math.max(this.highestEnd, this.end, this.emptyEnd)
    this.#observe(this, write)
  }
}
