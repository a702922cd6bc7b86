// The store of a replica in memory. Its content is the disk: it survives a crash of the replica, and what was written is on it from the end of a
// turn on, where a short durable write happens as well.
import { assert, CHUNK_BYTES, InvariantError, type Index } from '@coppice/protocol'
import { nextTurn } from '@coppice/runtime'
import { afterSending } from '@coppice/runtime/server'
import type { DiskWrite, ReplicaMeta, StoreContent, UnfinishedSnapshot } from '@coppice/replica'
import type { LogSlice, RecoverySink, ReplicaStorage, SnapshotPiece } from '@coppice/replica/server'

/** The event loop runs after so many bytes of recovery. */
const SLICE_BYTES = 16 * CHUNK_BYTES

interface Queued {
  readonly token: number
  readonly writes: readonly DiskWrite[]
}

export class MemoryStore implements ReplicaStorage {
  readonly path: string
  onWritten: (token: number) => void = () => undefined
  onFailed: (reason: string) => void = () => undefined
  private readonly content: StoreContent
  private queue: Queued[] = []
  private scheduled = false
  private ended = false
  private waiting: (() => void)[] = []

  constructor(content: StoreContent) {
    this.content = content
    this.path = `the memory of ${content.meta.id}`
  }

  get meta(): ReplicaMeta {
    return this.content.meta
  }

  /** As it will be when everything queued is written, which nobody asks for before that. */
  get unfinished(): UnfinishedSnapshot | undefined {
    return this.content.unfinished
  }

  write(token: number, writes: readonly DiskWrite[]): void {
    if (this.ended) return
    this.queue.push({ token, writes })
    if (this.scheduled) return
    this.scheduled = true
    afterSending(this.onTurnEnd)
  }

  async readLog(from: Index, to: Index, maxBytes: number): Promise<LogSlice> {
    return { from, ...this.content.read(from, to, maxBytes) }
  }

  async readSnapshot(snapshotId: string, chunk: number): Promise<SnapshotPiece> {
    const { snapshot, chunksBySnapshot } = this.content
    if (snapshot === undefined || (snapshotId !== '' && snapshotId !== snapshot.snapshotId))
      return { header: undefined, bytes: undefined }
    return { header: snapshot, bytes: chunksBySnapshot.get(snapshot.snapshotId)![chunk] }
  }

  drained(): Promise<void> {
    if (this.queue.length === 0) return Promise.resolve()
    return new Promise((resolve) => this.waiting.push(resolve))
  }

  async recover(sink: RecoverySink, known: string | undefined): Promise<void> {
    const { snapshot, chunksBySnapshot } = this.content
    // Whoever was writing these is gone; what was being brought goes on.
    const kept = [snapshot?.snapshotId, this.unfinished?.snapshotId]
    for (const id of chunksBySnapshot.keys()) if (!kept.includes(id)) chunksBySnapshot.delete(id)
    let bytes = 0
    const pace = async (length: number): Promise<void> => {
      bytes += length
      if (bytes < SLICE_BYTES) return
      bytes = 0
      await nextTurn()
    }
    if (known !== undefined) assert(snapshot?.snapshotId === known, `snapshot ${known} is the one on the disk`)
    else if (snapshot !== undefined) {
      for (const [i, chunk] of chunksBySnapshot.get(snapshot.snapshotId)!.entries()) {
        sink.snapshotChunk(snapshot, i, chunk)
        await pace(chunk.length)
      }
    }
    for (const record of [...this.content.records]) {
      sink.record(record.bytes)
      await pace(record.bytes.length)
    }
  }

  async close(): Promise<void> {
    this.commit()
    this.ended = true
  }

  async abandon(): Promise<void> {
    this.ended = true
    this.queue = []
    this.wake()
  }

  private readonly onTurnEnd = (): void => {
    this.scheduled = false
    this.commit()
  }

  private commit(): void {
    const { queue } = this
    this.queue = []
    for (const { token, writes } of queue) {
      // Somebody may end it when he hears of a write.
      if (this.ended) return
      try {
        for (const write of writes) this.content.apply(owned(write))
      } catch (error) {
        if (!(error instanceof InvariantError)) throw error
        this.ended = true
        return this.onFailed(`${this.path}: not so: ${error.message}`)
      }
      this.onWritten(token)
    }
    this.wake()
  }

  private wake(): void {
    for (const resolve of this.waiting.splice(0)) resolve()
  }
}

/** The bytes of a record may be used again once it is written. */
function owned(write: DiskWrite): DiskWrite {
  return write.kind === 'record' ? { ...write, bytes: write.bytes.slice() } : write
}
