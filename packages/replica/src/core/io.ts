// What goes into a replica core and what comes out (PROTOCOL 2–5, 7).
import type {
  ClientToReplica,
  ClusterId,
  CommonEffect,
  CommonInput,
  ConfigServerEntry,
  Epoch,
  FromReplicaServer,
  GroupName,
  Index,
  Lineage,
  Millis,
  NodeId,
  ReplicaToClient,
  StoreId,
  ToReplicaServer,
} from '@coppice/protocol'
import type { ChangeLog } from './change-log.js'
import type { ClerkTable } from './exactly-once.js'
import type { StateMachine } from './state-machine.js'

/** Durable marks of a replica, written as one value. */
export interface ReplicaMeta {
  /** '' until the config service told it; from then on fixed. */
  readonly clusterId: ClusterId
  readonly group: GroupName
  readonly id: NodeId
  readonly storeId: StoreId
  /** Epoch entered last; 0 after formatting. */
  readonly epoch: Epoch
  /** checkpointId with which `epoch` was entered; '' for 0. */
  readonly checkpointId: string
  /** First index of `epoch`. */
  readonly start: Index
  /** Highest epoch promised by SEAL; no append of a lower epoch is acked. */
  readonly sealedFor: Epoch
  /** Epoch in which this store's server has proposed as primary; one incarnation only (PROTOCOL 2.7). */
  readonly claim: Epoch
  readonly lineage: Lineage
  /** Config servers of the newest configuration heard of: where to ask after a restart, whatever the command line says. */
  readonly configServers?: readonly ConfigServerEntry[]
  /**
   * The last cut that an ENTER ordered: entries of this log at or above `at` were in no history that follows `epoch`, the epoch chosen
   * then, so lacking them is no loss. Said with every report, for the leader that ordered it may be no more.
   */
  readonly cut?: { readonly epoch: Epoch; readonly at: Index }
}

/** A snapshot of all entries below `index`; usable once committed to disk. */
export interface SnapshotHeader {
  readonly snapshotId: string
  readonly index: Index
  /** Lineage of the entries below `index`. */
  readonly lineage: Lineage
  readonly chunks: number
  readonly totalBytes: number
  readonly digest: string
}

/** A snapshot of another replica that is brought here. */
export type SnapshotOrigin = Omit<SnapshotHeader, 'digest'>

/** What is on this disk of a snapshot that was being brought when the process ended. */
export interface UnfinishedSnapshot {
  /** Name under which it is stored here. */
  readonly snapshotId: string
  readonly origin: SnapshotOrigin
  /** Numbers of its chunks that are here. */
  readonly have: readonly number[]
}

/** The state of a snapshot that is committed on this disk. */
export interface Rebuilt {
  readonly header: SnapshotHeader
  readonly machine: StateMachine
  readonly table: ClerkTable
  readonly changes: ChangeLog
  /** The log's time at its end. */
  readonly elapsedMs: Millis
}

/**
 * Writes of one effect are atomic: after a crash all of them are there or none; of an effect that holds only records, those at its end may
 * be missing. Records stand before everything else of their effect, and never behind a cut.
 */
export type DiskWrite =
  /** Append a whole record. */
  | { readonly kind: 'record'; readonly firstIndex: Index; readonly entries: number; readonly bytes: Uint8Array }
  | { readonly kind: 'meta'; readonly meta: ReplicaMeta }
  /** Drop all records at or above `from` (a record boundary). */
  | { readonly kind: 'cutSuffix'; readonly from: Index }
  /** Drop records that lie wholly below `below`. */
  | { readonly kind: 'cutPrefix'; readonly below: Index }
  /**
   * The chunks of the snapshot `origin` will be brought under the name `snapshotId`, and outlive this process. `resumes`: the name of what was
   * brought of it before; it goes on under the new one.
   */
  | {
      readonly kind: 'snapshotBegin'
      readonly snapshotId: string
      readonly origin: SnapshotOrigin
      readonly resumes?: string
    }
  /** One piece of a snapshot that is not usable yet. */
  | { readonly kind: 'snapshotChunk'; readonly snapshotId: string; readonly chunk: number; readonly bytes: Uint8Array }
  /** The snapshot is complete: it becomes the one used at recovery; all others are dropped. */
  | { readonly kind: 'snapshotCommit'; readonly header: SnapshotHeader }
  /** Drop an unfinished snapshot. */
  | { readonly kind: 'snapshotDrop'; readonly snapshotId: string }

/** What a replica's core is given. */
export type ReplicaInput =
  | CommonInput<ToReplicaServer, ClientToReplica>
  /** The turn's inputs are consumed: close the batch. Given when `wantsFlush`. */
  | { readonly kind: 'flush' }
  /** Answer to `readLog`: whole records [from, next), concatenated; empty when `from` is not a boundary or not there. */
  | {
      readonly kind: 'logRead'
      readonly token: number
      readonly from: Index
      readonly next: Index
      readonly records: Uint8Array
    }
  /** Answer to `readSnapshot`; undefined when there is no such snapshot or chunk. */
  | {
      readonly kind: 'snapshotRead'
      readonly token: number
      readonly header: SnapshotHeader | undefined
      readonly chunk: number
      readonly bytes: Uint8Array | undefined
    }
  /** What the turn made has left: apply what is due, tell watchers what is committed. Given when `wantsApply`. */
  | { readonly kind: 'apply' }
  /** The process is about to end, and waits a little for `left`. */
  | { readonly kind: 'leave' }
  /** The driver has idle time: continue a running capture by one piece. Given when `wantsCapture`, at most one a turn. */
  | { readonly kind: 'capture' }
  /**
   * About the process itself, every 100 ms and first thing after a stall. `wallMs`: wall clock; `sleptMs`: how long the event loop
   * was late (0: on time).
   */
  | { readonly kind: 'health'; readonly wallMs: Millis; readonly sleptMs: Millis; readonly freeDiskBytes: number }

/** What it asks its driver to do. */
export type ReplicaEffect =
  | CommonEffect<FromReplicaServer, ReplicaToClient, DiskWrite>
  /** Read whole records from `from` up to `to` (exclusive) or about maxBytes, at least one record; answered by `logRead`. */
  | {
      readonly kind: 'readLog'
      readonly token: number
      readonly from: Index
      readonly to: Index
      readonly maxBytes: number
    }
  /** Read one chunk of a snapshot ('' = the newest committed one); answered by `snapshotRead`. */
  | { readonly kind: 'readSnapshot'; readonly token: number; readonly snapshotId: string; readonly chunk: number }
  /** Answer to `leave`: the group goes on without this server, or has no use for its waiting. */
  | { readonly kind: 'left'; readonly reason: string }
  /**
   * The store was changed under the state (suffix cut, snapshot installed), or the state was given up: build a new core from disk, drop this
   * one. `rebuilt`: what the snapshot on the disk holds; only the log behind it is read.
   */
  | { readonly kind: 'reload'; readonly rebuilt?: Rebuilt }

/** What the host knows before recovery. */
export interface ReplicaOptions {
  readonly id: NodeId
  readonly address: string
  readonly zone?: string
  /** Config servers as given on the command line; the list that was heard of or stored counts before it. */
  readonly configServers: readonly { readonly id: NodeId; readonly address: string }[]
  readonly pid: number
  /** When the process started. */
  readonly startedAt: Millis
  readonly version: string
  /** Seed of the core's own jitter and nonces: random in production, from the run's seed in the simulator. */
  readonly seed: number
  /** Log bytes after which a snapshot begins, and kept behind it (limits.ts in production; small in the simulator). */
  readonly snapshotEveryBytes: number
  readonly minLogBytesKept: number
  /** Bytes of the newest changes kept for watchers; the same at all members. Default: CHANGE_LOG_BYTES; small in the simulator. */
  readonly changeLogBytes?: number
}
