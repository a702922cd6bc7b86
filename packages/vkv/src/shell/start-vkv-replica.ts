// A replica that hosts the key-value store.
import { startReplica, type RunningReplica, type StartReplicaOptions } from '@coppice/replica/server'
import { KvMachine } from '../core.js'

/** Of a replica that hosts the store. */
export type StartVkvReplicaOptions = Omit<StartReplicaOptions, 'machine'>

/** Resolves when the replica has loaded its state and takes part. Rejects with a StartupError that says why it cannot. */
export function startVkvReplica(options: StartVkvReplicaOptions): Promise<RunningReplica> {
  return startReplica({ ...options, machine: (bytes) => new KvMachine(bytes) })
}
