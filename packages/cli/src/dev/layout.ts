// Which processes a dev cluster has and where they listen: config servers at port + 1 …, replicas at port + 11 …; a second start keeps
// the ports of the first, because the cluster has them in its configuration.
import { createServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'
import { CliError, EXIT } from '../base/exit.js'
import type { ClusterFile, ClusterProcess } from './cluster-file.js'

export interface LayoutOptions {
  readonly configServers: number
  readonly replicas: number
  readonly spares: number
  /** 0: free ports, chosen once. */
  readonly port: number
  readonly group: string
  /** Zones of the replicas, one after the other, from the beginning again when they are used up; none: they have no zone. */
  readonly zones?: readonly string[]
}

const HOST = '127.0.0.1'
const CONFIG_OFFSET = 1
const REPLICA_OFFSET = 11

export async function newLayout(options: LayoutOptions): Promise<ClusterFile> {
  const { configServers, replicas, spares, port, group, zones = [] } = options
  if (![1, 3, 5].includes(configServers))
    throw new CliError(EXIT.usage, `--config-servers: a cluster has 1, 3 or 5 config servers, not ${configServers}`)
  const count = configServers + replicas + spares
  const last = port + Math.max(CONFIG_OFFSET + configServers, REPLICA_OFFSET + replicas + spares) - 1
  if (last > 65_535) throw new CliError(EXIT.usage, `--port: ${port} is too high, ports up to ${last} would be needed`)
  const free = port === 0 ? await freePorts(count) : undefined
  const place = (id: string, at: number, offset: number): ClusterProcess => ({
    id,
    address: `${HOST}:${free?.[at] ?? port + offset}`,
    pid: 0,
    startTime: '',
  })
  return {
    format: 1,
    group,
    wanted: replicas,
    dev: { pid: 0, startTime: '' },
    configServers: Array.from({ length: configServers }, (_, i) => place(`c${i + 1}`, i, CONFIG_OFFSET + i)),
    replicas: Array.from({ length: replicas + spares }, (_, i) => {
      const replica = place(`r${i + 1}`, configServers + i, REPLICA_OFFSET + i)
      return zones.length === 0 ? replica : { ...replica, zone: zones[i % zones.length]! }
    }),
  }
}

/** For a new cluster, before anything is written: it keeps its ports for good, so it must not be founded on those of others. */
export async function refuseTakenPorts({ configServers, replicas }: ClusterFile): Promise<void> {
  for (const { address } of [...configServers, ...replicas]) {
    const port = portOf(address)
    const server = await listen(port).catch((error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'is taken by another process' : `cannot be used: ${error.message}`
      throw new CliError(
        EXIT.error,
        `port ${port} of ${HOST} ${why}; choose others with --port, for example --port 7200`,
      )
    })
    await closed(server)
  }
}

/** Why an existing cluster cannot be started with these options; undefined when it can. */
export function layoutConflict(existing: ClusterFile, given: Partial<LayoutOptions>): string | undefined {
  const { configServers, replicas, spares, group, port, zones } = given
  const has = { config: existing.configServers.length, wanted: existing.wanted, all: existing.replicas.length }
  if (configServers !== undefined && configServers !== has.config) return `it has ${has.config} config servers`
  if (replicas !== undefined && replicas !== has.wanted) return `it has ${has.wanted} replicas`
  if (spares !== undefined && spares !== has.all - has.wanted) return `it has ${has.all - has.wanted} spares`
  const first = portOf(existing.configServers[0]!.address)
  if (port !== undefined && port !== 0 && port + CONFIG_OFFSET !== first)
    return `its first config server has port ${first}`
  if (group !== undefined && group !== existing.group) return `its group is ${existing.group}`
  const other = zones === undefined ? [] : existing.replicas.filter(({ zone }, i) => zone !== zones[i % zones.length])
  if (other.length > 0) return `its replica ${other[0]!.id} has ${zoneText(other[0]!.zone)}`
  return undefined
}

function zoneText(zone: string | undefined): string {
  return zone === undefined ? 'no zone' : `zone ${zone}`
}

// All are held open together, so that no two are the same.
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => listen(0)))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map(closed))
  return ports
}

function listen(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(port, HOST, () => resolve(server))
  })
}

function closed(server: Server): Promise<unknown> {
  return new Promise((resolve) => server.close(resolve))
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1))
}
