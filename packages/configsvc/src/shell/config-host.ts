// One config server in this process: store, core, wire and driver tied together. Nothing here knows the protocol: the core decides, this
// executes.
import { DEFAULT_ELECTION, DEFAULT_GROUP, DEFAULT_PARAMS, paramsProblem } from '@coppice/protocol'
import { clearTimeout, randomId, randomSeed, setTimeout, systemClock } from '@coppice/runtime'
import { NodeDriver, ServerWire, VERSION } from '@coppice/runtime/server'
import { ConfigNode } from '../core/config-node.js'
import type { ConfigEffect, ConfigInput, ConfigOptions } from '../core/io.js'
import { ClusterCheck } from './cluster-check.js'
import { DEFAULT_WANTED, optionsProblem } from './options.js'
import type {
  ConfigServerStopped,
  HostConfigServerOptions,
  HostedConfigServer,
  RunningConfigServer,
  StartConfigServerOptions,
} from './options.js'
import { openRegisterStore } from './register-store.js'
import type { RegisterStore } from './register-store.js'

/** Resolves when the server listens and takes part. Rejects with a StartupError that says why it cannot. */
export async function startConfigServer(options: StartConfigServerOptions): Promise<RunningConfigServer> {
  refuseWrong(options)
  return hostConfigServer({ ...options, store: await openRegisterStore(options.dataDir, options.id) })
}

/**
 * The same for a host that brings its own store or transport, or plays the server's process. A store that is given is closed in the end. Throws
 * a RangeError for options that are wrong.
 */
export async function hostConfigServer(options: HostConfigServerOptions): Promise<HostedConfigServer> {
  refuseWrong(options)
  const host = new ConfigHost(options)
  try {
    await host.start()
  } catch (error) {
    await host.end()
    throw error
  }
  const { address, stopped } = host
  return {
    address,
    stopped,
    leave: (withinMs) => host.leave(withinMs),
    stop: () => host.stop(),
    pause: () => host.pause(),
    resume: () => host.resume(),
    crash: () => host.crash(),
  }
}

function refuseWrong(options: Omit<StartConfigServerOptions, 'dataDir'>): void {
  const problem = optionsProblem(options) ?? paramsProblem({ ...DEFAULT_PARAMS, ...options.params })
  if (problem !== undefined) throw new RangeError(problem)
}

class ConfigHost {
  readonly stopped: Promise<ConfigServerStopped>
  address = ''
  private readonly startedAt = systemClock.now()
  private readonly options: HostConfigServerOptions
  private readonly store: RegisterStore
  private readonly wire: ServerWire<'config'>
  private core: ConfigNode | undefined
  private driver: NodeDriver<ConfigInput, ConfigEffect> | undefined
  private check: ClusterCheck | undefined
  private ending: Promise<void> | undefined
  private onLeft: (() => void) | undefined
  private settle!: (how: ConfigServerStopped) => void

  constructor(options: HostConfigServerOptions) {
    const { store } = options
    this.options = options
    this.store = store
    this.stopped = new Promise((resolve) => (this.settle = resolve))
    store.onFailed = (reason) => this.halt(reason)
    this.wire = new ServerWire({
      role: 'config',
      id: options.id,
      storeId: store.recovered.storeId,
      group: DEFAULT_GROUP,
      listen: options.listen,
      // Known from the disk before the core is made; later the core may learn it.
      clusterId: () => this.core?.view.clusterId ?? store.recovered.accepted[0]?.value.clusterId ?? '',
      handlers: {
        onMessage: (from, message) => this.driver?.input({ kind: 'message', from, message }),
        onClient: (connection, message) => this.driver?.input({ kind: 'client', connection, message }),
        onClientGone: (connection) => this.driver?.input({ kind: 'clientGone', connection }),
      },
      logger: options.logger,
      transport: options.transport,
    })
  }

  async start(): Promise<void> {
    this.address = await this.wire.listen()
    const core = new ConfigNode(this.coreOptions(), this.store.recovered, systemClock.now())
    this.core = core
    this.driver = new NodeDriver<ConfigInput, ConfigEffect>({
      core,
      clock: systemClock,
      wire: this.wire,
      write: (_token, writes, durable) => this.store.write(writes, durable),
      other: () => this.onLeft?.(),
      onHalt: (reason) => this.halt(reason),
      onEvent: (name, fields) => this.options.logger.event(name, fields),
      health: (sleptMs) => (sleptMs > 0 ? { kind: 'slept', sleptMs } : undefined),
    })
    const { dataDir, id, peers, transport } = this.options
    const clusterId = this.store.recovered.accepted[0]?.value.clusterId
    if (clusterId !== undefined) {
      const others = peers.filter((p) => p.id !== id)
      const onWrong = (reason: string): void => this.halt(`data directory ${dataDir ?? ''} ${reason}`)
      this.check = new ClusterCheck(clusterId, others, onWrong, transport?.dial)
    }
    this.options.logger.event('started', {
      address: this.advertised,
      version: VERSION,
      dataDir,
      storeId: this.store.recovered.storeId,
    })
  }

  leave(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, withinMs)
      this.onLeft = () => {
        clearTimeout(timer)
        resolve()
      }
      if (this.driver === undefined || this.ending !== undefined) this.onLeft()
      else this.driver.input({ kind: 'leave' })
    })
  }

  async stop(): Promise<void> {
    if (this.ending === undefined) this.options.logger.event('stopping', {})
    await this.end()
    this.settle({ exitCode: 0, reason: 'stopped' })
  }

  pause(): void {
    this.driver?.suspend()
  }

  resume(): void {
    this.driver?.resume()
  }

  async crash(): Promise<void> {
    this.ending ??= this.endOnce(() => this.store.abandon())
    await this.ending
    this.settle({ exitCode: 1, reason: 'crashed' })
  }

  end(): Promise<void> {
    return (this.ending ??= this.endOnce(() => this.store.close()))
  }

  /** Never limps on. Does not wait for the store: its disk may be what does not answer. */
  halt(reason: string): void {
    if (this.ending !== undefined) return
    this.options.logger.error(reason)
    this.settle({ exitCode: 1, reason })
    this.end().catch((error: unknown) => this.options.logger.error(`closing failed: ${String(error)}`))
  }

  private async endOnce(endStore: () => Promise<void>): Promise<void> {
    this.check?.stop()
    this.driver?.stop()
    await this.wire.close()
    await endStore()
  }

  private get advertised(): string {
    const { advertise, peers, id } = this.options
    return advertise ?? peers.find((p) => p.id === id)?.address ?? this.address
  }

  private coreOptions(): ConfigOptions {
    const { id, peers, join, wanted = DEFAULT_WANTED, params, election } = this.options
    return {
      id,
      address: this.advertised,
      // P6: one that joins is none of those that form a cluster.
      peers: join === true ? peers.filter((p) => p.id !== id) : peers,
      election: { ...DEFAULT_ELECTION, ...election },
      wanted,
      params: { ...DEFAULT_PARAMS, ...params },
      newClusterId: randomId(),
      pid: process.pid,
      startedAt: this.startedAt,
      version: VERSION,
      seed: randomSeed(),
    }
  }
}
