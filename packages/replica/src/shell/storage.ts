// What the wiring needs of a store (PROTOCOL 7). The lmdb store implements it; tests and hosts may wrap it.
import type { Index } from '@coppice/protocol'
import type { DiskWrite, ReplicaMeta, SnapshotHeader, UnfinishedSnapshot } from '../core/io.js'

/** Whole records [from, next), concatenated; empty, with next = from, when there is nothing to give. */
export interface LogSlice {
  readonly from: Index
  readonly next: Index
  readonly records: Uint8Array
}

/** One chunk of the committed snapshot; undefined: it is not there. */
export interface SnapshotPiece {
  readonly header: SnapshotHeader | undefined
  readonly bytes: Uint8Array | undefined
}

/** Takes what recovery finds, in order: every chunk of the snapshot, then every record. */
export interface RecoverySink {
  snapshotChunk(header: SnapshotHeader, chunk: number, bytes: Uint8Array): void
  record(bytes: Uint8Array): void
}

/** How far the loading of a store has come. */
export interface RecoveryProgress {
  readonly phase: 'snapshot' | 'log'
  /** Bytes given to the sink in this phase. */
  readonly bytes: number
  /** Bytes of the snapshot; 0 for the log, whose length is not known beforehand. */
  readonly totalBytes: number
}

/** What a replica needs of a disk. A host may wrap the opened one: to observe it, to delay it, to let it fail. */
export interface ReplicaStorage {
  /** Path of the store's file, for messages. */
  readonly path: string
  /** As on the disk now. */
  readonly meta: ReplicaMeta
  /** What is here of a snapshot that was being brought, with everything queued so far; kept until it is dropped or another is committed. */
  readonly unfinished: UnfinishedSnapshot | undefined
  /** Called once per `write`, in the order of the calls, when the writes are durable. Set once, before the first write. */
  onWritten: (token: number) => void
  /** Called at most once: a write failed, or what was read is damaged. Afterwards nothing is ever reported as written. */
  onFailed: (reason: string) => void
  /** Queues one atomic write. The bytes must not change until it is written. */
  write(token: number, writes: readonly DiskWrite[]): void
  /** Sees the log as it is on the disk now. */
  readLog(from: Index, to: Index, maxBytes: number): Promise<LogSlice>
  /** '' asks for the committed snapshot, as it is on the disk now: appends that are under way are not waited for. */
  readSnapshot(snapshotId: string, chunk: number): Promise<SnapshotPiece>
  /** Resolves when every write queued so far is durable; rejects when the store has failed, for then none may ever be. */
  drained(): Promise<void>
  /**
   * Gives the whole content to `sink`, checked, in slices between which the event loop runs. `known`: the snapshot that is not read, for its
   * state is here; it must be the one on the disk. Throws a StartupError that names what is damaged.
   */
  recover(
    sink: RecoverySink,
    known: string | undefined,
    onProgress: (progress: RecoveryProgress) => void,
  ): Promise<void>
  /** Waits for queued writes and closes. */
  close(): Promise<void>
  /** Ends as the death of its process would: what is not durable yet may be lost, and nothing is reported any more. */
  abandon(): Promise<void>
}
