// A clerk over real sockets. While calls are open it keeps the process alive; after `close` nothing of it is left.
import type {
  ClientToConfig,
  ClientToReplica,
  ClusterId,
  ConfigToClient,
  Dialer,
  GroupName,
  ReplicaToClient,
} from '@coppice/protocol'
import { holdProcess, systemClock, systemRandom, wsDialer, type Dial } from '@coppice/runtime'
import { AdminClient } from '../client/admin.js'
import { parseAddresses, parseClusterUrl } from '../client/addresses.js'
import { Clerk } from '../client/clerk.js'
import { durationMs } from '../client/duration.js'
import { type ConnectOptions, checkOptions } from './options.js'

/** `coppice://host:port,host:port[/group]`, or addresses of config servers. */
export type ClusterUrl = string | readonly string[]

/**
 * Connects a clerk; resolves once a configuration is known. Fails like a call: UNAVAILABLE, WRONG_CLUSTER, PROTOCOL_VERSION, …
 * `dial`: how servers are reached; by default over TCP.
 */
export async function connectClerk(url: ClusterUrl, options: ConnectOptions = {}, dial?: Dial): Promise<Clerk> {
  checkOptions(options)
  const { configServers, group } = where(url, options)
  const dialers = clientDialers(group, options.token, dial)
  const clerk = new Clerk(
    {
      configServers,
      group,
      timeoutMs: optionalMs(options.timeout),
      maxInFlight: options.maxInFlight,
      maxInFlightBytes: options.maxInFlightBytes,
      silenceMs: optionalMs(options.silence),
      zone: options.zone,
    },
    { clock: systemClock, random: systemRandom, ...dialers, hold: newHold() },
  )
  try {
    await clerk.ready({ signal: options.signal })
    return clerk
  } catch (error) {
    await clerk.close()
    throw error
  }
}

/** An operator's client; connects when it is asked something. `dial`: how servers are reached; by default over TCP. */
export function connectAdmin(url: ClusterUrl, options: ConnectOptions = {}, dial?: Dial): AdminClient {
  checkOptions(options)
  const { configServers, group } = where(url, options)
  const dialers = clientDialers(group, options.token, dial)
  const ports = { clock: systemClock, random: systemRandom, hold: newHold(), ...dialers }
  return new AdminClient({ configServers, group, timeoutMs: optionalMs(options.timeout) }, ports)
}

/** Ports through which a clerk reaches the two kinds of servers. */
export interface ClientDialers {
  readonly configDialer: Dialer<ClientToConfig, ConfigToClient>
  readonly replicaDialer: Dialer<ClientToReplica, ReplicaToClient>
}

/** Dialers that learn the cluster's name from the first server and refuse servers of any other from then on. */
export function clientDialers(group: GroupName, token: string | undefined, dial?: Dial): ClientDialers {
  let known: ClusterId = ''
  const common = {
    role: 'client' as const,
    clusterId: () => known,
    onClusterId: (clusterId: ClusterId) => {
      if (known === '') known = clusterId
    },
    group,
    ...(token === undefined ? {} : { token }),
    dial,
  }
  return {
    configDialer: wsDialer<ClientToConfig, ConfigToClient>({ ...common, linkKind: 'client-config' }),
    replicaDialer: wsDialer<ClientToReplica, ReplicaToClient>({ ...common, linkKind: 'client-replica' }),
  }
}

function where(url: ClusterUrl, options: ConnectOptions): { configServers: readonly string[]; group: GroupName } {
  const parsed =
    typeof url === 'string' ? parseClusterUrl(url) : { configServers: parseAddresses(url), group: undefined }
  return { configServers: parsed.configServers, group: options.group ?? parsed.group ?? 'main' }
}

function optionalMs(duration: ConnectOptions['timeout']): number | undefined {
  return duration === undefined ? undefined : durationMs(duration)
}

// Timers and reconnecting sockets alone would let the process end under a call that waits.
function newHold(): (busy: boolean) => void {
  let release: (() => void) | undefined
  return (busy) => {
    release?.()
    release = busy ? holdProcess() : undefined
  }
}
