// Starts a replica of any state machine in this process (PROTOCOL 2–5, 7).
import { openReplicaStore } from './open-store.js'
import type { RunningReplica, StartReplicaOptions } from './options.js'
import { ReplicaHost } from './replica-host.js'

/** Resolves when the replica has loaded its state and takes part. Rejects with a StartupError that says why it cannot. */
export async function startReplica(options: StartReplicaOptions): Promise<RunningReplica> {
  const { dataDir, id, group, clusterId } = options
  const opened = await openReplicaStore(dataDir, { id, group, clusterId })
  const host = new ReplicaHost(options, options.storage?.(opened) ?? opened)
  try {
    await host.start()
  } catch (error) {
    await host.end()
    throw error
  }
  return {
    address: host.address,
    leave: (withinMs) => host.leave(withinMs),
    stop: () => host.stop(),
    stopped: host.stopped,
  }
}
