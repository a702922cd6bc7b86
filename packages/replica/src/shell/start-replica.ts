// Starts a replica of any state machine in this process (PROTOCOL 2–5, 7).
import { openReplicaStore } from './open-store.js'
import type { HostedReplica, HostReplicaOptions, RunningReplica, StartReplicaOptions } from './options.js'
import { ReplicaHost } from './replica-host.js'

/** Resolves when the replica has loaded its state and takes part. Rejects with a StartupError that says why it cannot. */
export async function startReplica(options: StartReplicaOptions): Promise<RunningReplica> {
  const { dataDir, id, group, clusterId } = options
  const opened = await openReplicaStore(dataDir, { id, group, clusterId })
  return hostReplica({ ...options, store: options.storage?.(opened) ?? opened })
}

/** The same for a host that brings its own store or transport, or plays the replica's process. A store that is given is closed in the end. */
export async function hostReplica(options: HostReplicaOptions): Promise<HostedReplica> {
  const host = new ReplicaHost(options)
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
    pause: () => host.pause(),
    resume: () => host.resume(),
    crash: () => host.crash(),
  }
}
