// What a host says when it starts a replica, and what it gets back.
import type { BytesPort, ClusterId, GroupName, NodeId } from '@coppice/protocol'
import type { Transport } from '@coppice/runtime'
import type { Logger } from '@coppice/runtime/server'
import type { StateMachine } from '../core/state-machine.js'
import type { ReplicaStorage } from './storage.js'

/** What a host says when it starts a replica. */
export interface StartReplicaOptions {
  /** Directory of this replica's log and snapshots; made and formatted when it is missing or empty. */
  readonly dataDir: string
  readonly id: NodeId
  readonly group: GroupName
  /** host:port to listen on; port 0 takes a free one. */
  readonly listen: string
  /** host:port under which others reach it; default: what it listens on. */
  readonly advertise?: string
  readonly zone?: string
  readonly configServers: readonly { readonly id: NodeId; readonly address: string }[]
  /** Makes an empty state machine; called once at start and once per reload. */
  readonly machine: (bytes: BytesPort) => StateMachine
  readonly logger: Logger
  /** Refuse a data directory that belongs to another cluster than this one. */
  readonly clusterId?: ClusterId
  /** Log bytes after which a snapshot begins, and kept behind it; defaults in limits.ts. */
  readonly snapshotEveryBytes?: number
  readonly minLogBytesKept?: number
  /** Wraps the opened storage: how a host observes it, delays it or puts another one in its place. */
  readonly storage?: (opened: ReplicaStorage) => ReplicaStorage
}

/** What `hostReplica` needs: a store that is open, and what connects it to others. */
export interface HostReplicaOptions extends Omit<StartReplicaOptions, 'dataDir' | 'clusterId' | 'storage'> {
  /** Where the store is, to be told and to be watched for its free space; undefined: nowhere on a disk. */
  readonly dataDir?: string | undefined
  readonly store: ReplicaStorage
  /** Default: WebSockets over TCP. */
  readonly transport?: Transport | undefined
}

/** Why a replica is no longer running. A host that owns its process exits with `exitCode`. */
export interface ReplicaStopped {
  readonly exitCode: 0 | 1
  readonly reason: string
}

/** A replica that runs in this process. */
export interface RunningReplica {
  /** host:port it listens on. */
  readonly address: string
  /**
   * Asks the group to go on without this replica, and resolves when it does, when it has no use for waiting, or after `withinMs`.
   * What follows is `stop`: a member that ends without a word stops all writes until it is missed.
   */
  leave(withinMs: number): Promise<void>
  /** Orderly end: nothing new is taken, queued writes become durable, the store is closed. */
  stop(): Promise<void>
  /** Settles once, after `stop` or after a halt; a halt does not wait for a disk that may never answer. */
  readonly stopped: Promise<ReplicaStopped>
}

/** A replica whose process its host can play: stop it and let it go on, or kill it. */
export interface HostedReplica extends RunningReplica {
  /** As SIGSTOP: nothing happens until `resume`. Whoever pauses it keeps back what others send to it. */
  pause(): void
  /** As SIGCONT. */
  resume(): void
  /** As kill -9: says nothing to anybody, and abandons its store. Resolves once nothing of it is open. */
  crash(): Promise<void>
}
