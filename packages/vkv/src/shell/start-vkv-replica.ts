// A replica that hosts the key-value store.
import { startReplica, type RunningReplica, type StartReplicaOptions } from '@coppice/replica/server'
import { KvMachine } from '../core.js'

export type StartVkvReplicaOptions = Omit<StartReplicaOptions, 'machine'>

export function startVkvReplica(options: StartVkvReplicaOptions): Promise<RunningReplica> {
  return startReplica({ ...options, machine: (bytes) => new KvMachine(bytes) })
}
