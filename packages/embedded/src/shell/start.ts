// Starts all servers of a cluster in this process and waits until its group runs.
import { hostConfigServer } from '@coppice/configsvc/server'
import { CoppiceError, DEFAULT_GROUP, type EventName, type NodeId } from '@coppice/protocol'
import { hostReplica } from '@coppice/replica/server'
import { clearTimeout, setTimeout } from '@coppice/runtime'
import type { Logger } from '@coppice/runtime/server'
import { KvMachine } from '@coppice/vkv/core'
import { EmbeddedCluster } from './cluster.js'
import { disksIn, type Disks } from './disks.js'
import { Network } from './network.js'
import { settingsOf, type EmbeddedLogLine, type EmbeddedOptions, type Settings } from './options.js'
import { freeAddresses } from './ports.js'
import { Server, type Process } from './server.js'

/** Longest time from the start of the servers to a primary, ms. */
const FORM_MS = 30_000
const MiB = 1024 * 1024
/** In memory the log and its snapshot take what the app's own tests could use. */
const MEMORY_LOG = { snapshotEveryBytes: 16 * MiB, minLogBytesKept: 4 * MiB }

/** The newest log lines, told when no primary comes. */
const KEPT_LINES = 20

/**
 * Starts a cluster inside this process: the cores and clients of production over a network in memory. Resolves when its group takes writes. Fails
 * with INVALID_ARGUMENT, with a StartupError of a directory that cannot be used, or UNAVAILABLE when no primary comes.
 */
export async function startEmbedded(options: EmbeddedOptions = {}): Promise<EmbeddedCluster> {
  const settings = settingsOf(options)
  const launcher = new Launcher(settings, await addressesOf(settings))
  const { servers, network } = launcher
  const cluster = new EmbeddedCluster(settings, network, servers)
  try {
    // A replica that reports to a leader is registered by its first report.
    await all(servers, 'config')
    await launcher.told('leaderElected')
    await all(servers, 'replica')
    await launcher.told('primaryClaimed')
  } catch (error) {
    // Why it could not start says more than how it ended.
    await cluster.close().catch(() => undefined)
    throw error
  }
  return cluster
}

async function all(servers: readonly Server[], kind: Server['kind']): Promise<void> {
  await Promise.all(servers.filter((server) => server.kind === kind).map((server) => server.start()))
}

async function addressesOf({ replicas, configServers, listen }: Settings): Promise<ReadonlyMap<NodeId, string>> {
  const ids = [...configServers, ...replicas]
  const addresses = listen ? await freeAddresses(ids.length) : ids.map((id) => `${id}.embedded:1`)
  return new Map(ids.map((id, i) => [id, addresses[i]!]))
}

class Launcher {
  readonly network = new Network()
  readonly servers: readonly Server[]
  private readonly settings: Settings
  private readonly addressById: ReadonlyMap<NodeId, string>
  private readonly disks: Disks
  private readonly lines: string[] = []
  /** Names of events that were told of, and who waits for one. */
  private readonly toldOf = new Set<string>()
  private readonly onTold = new Map<string, () => void>()

  constructor(settings: Settings, addressById: ReadonlyMap<NodeId, string>) {
    this.settings = settings
    this.addressById = addressById
    this.disks = disksIn(settings.storage)
    for (const [id, address] of addressById) this.network.name(id, address)
    this.servers = [
      ...settings.configServers.map((id) => this.server(id, 'config', () => this.launchConfig(id))),
      ...settings.replicas.map((id) => this.server(id, 'replica', () => this.launchReplica(id))),
    ]
  }

  /** Resolves when a server has told of this event. */
  told(name: EventName): Promise<void> {
    if (this.toldOf.has(name)) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const message = `the cluster did not form within ${FORM_MS} ms (no ${name}); its servers said: ${this.lines.join('; ')}`
        reject(new CoppiceError(message, { code: 'UNAVAILABLE', outcome: 'not-applied' }))
      }, FORM_MS)
      this.onTold.set(name, () => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  private server(id: NodeId, kind: Server['kind'], launch: () => Promise<Process>): Server {
    return new Server(id, kind, this.addressById.get(id)!, this.network, launch)
  }

  private async launchConfig(id: NodeId): Promise<Process> {
    const { params, election, wanted, configServers } = this.settings
    const store = await this.disks.openRegister(id)
    return hostConfigServer({ ...this.common(id), store, peers: this.named(configServers), params, election, wanted })
  }

  private async launchReplica(id: NodeId): Promise<Process> {
    const { configServers, machine, storage } = this.settings
    return hostReplica({
      ...this.common(id),
      ...(storage === 'memory' ? MEMORY_LOG : {}),
      store: await this.disks.openReplica(id),
      group: DEFAULT_GROUP,
      configServers: this.named(configServers),
      machine: machine ?? ((bytes) => new KvMachine(bytes)),
    })
  }

  private common(id: NodeId) {
    return {
      id,
      listen: this.addressById.get(id)!,
      dataDir: this.disks.dirOf(id),
      transport: this.network.transportOf(id, this.settings.listen),
      logger: this.loggerOf(id),
    }
  }

  private named(ids: readonly NodeId[]): { id: NodeId; address: string }[] {
    return ids.map((id) => ({ id, address: this.addressById.get(id)! }))
  }

  private loggerOf(server: NodeId): Logger {
    const say = (level: EmbeddedLogLine['level']) => {
      return (text: string, fields: EmbeddedLogLine['fields'] = {}): void =>
        this.onLine({ server, level, text, fields })
    }
    return { event: say('event'), debug: say('debug'), warn: say('warn'), error: say('error') }
  }

  private onLine(line: EmbeddedLogLine): void {
    const { server, level, text } = line
    this.lines.push(`${server} ${text}`)
    if (this.lines.length > KEPT_LINES) this.lines.shift()
    if (level === 'event') {
      this.toldOf.add(text)
      this.onTold.get(text)?.()
    }
    try {
      this.settings.onLog?.(line)
    } catch (error) {
      // A mistake of the test's is not the server's.
      queueMicrotask(() => {
        throw error
      })
    }
  }
}
