// One replica in this process: store, core, wire and driver tied together. Nothing here knows the protocol: the core decides, this
// executes. Loading the core from disk is the same at start and on `reload`.
import { MIN_LOG_BYTES_KEPT, SNAPSHOT_EVERY_BYTES, unreachable, type EventName } from '@coppice/protocol'
import { clearTimeout, randomSeed, setTimeout, systemClock, wallMs } from '@coppice/runtime'
import { NodeDriver, ServerWire, VERSION, type LogFields, type Logger } from '@coppice/runtime/server'
import type { Rebuilt, ReplicaEffect, ReplicaInput, ReplicaOptions } from '../core/io.js'
import type { ReplicaNode } from '../index.js'
import { BulkReads } from './bulk-reads.js'
import { ClusterCheck } from './cluster-check.js'
import { FreeDisk } from './free-disk.js'
import { HeldClients, type ClientInput } from './held-clients.js'
import { loadCore } from './load-core.js'
import type { HostReplicaOptions, ReplicaStopped } from './options.js'
import { StallMeter } from './stall-meter.js'
import type { LogSlice, ReplicaStorage, SnapshotPiece } from './storage.js'

const MiB = 1024 * 1024

type HostEffect = Extract<ReplicaEffect, { kind: 'readLog' | 'readSnapshot' | 'left' | 'reload' }>

export class ReplicaHost {
  readonly stopped: Promise<ReplicaStopped>
  address = ''
  private readonly startedAt = systemClock.now()
  private readonly options: HostReplicaOptions
  private readonly store: ReplicaStorage
  private readonly wire: ServerWire<'replica'>
  private readonly disk: FreeDisk
  private readonly stalls = new StallMeter()
  private readonly held = new HeldClients()
  private readonly reads = new BulkReads()
  private readonly cluster: ClusterCheck
  private driver: NodeDriver<ReplicaInput, ReplicaEffect> | undefined
  private readonly onDurable = new Map<number, () => void>()
  private writes = 0
  /** Grows with every core, so that answers to an old one never reach its successor. */
  private generation = 0
  private loading: Promise<void> | undefined
  /** What the newest load cost; told with the core's own event about its recovery. */
  private loadCost: LogFields = {}
  private ending: Promise<void> | undefined
  private onLeft: (() => void) | undefined
  private settle!: (how: ReplicaStopped) => void

  constructor(options: HostReplicaOptions) {
    const { store } = options
    this.options = options
    this.store = store
    this.stopped = new Promise((resolve) => (this.settle = resolve))
    this.disk = new FreeDisk(options.dataDir)
    this.cluster = new ClusterCheck(options.configServers, store.meta.configServers ?? [])
    this.wire = new ServerWire({
      role: 'replica',
      id: options.id,
      storeId: store.meta.storeId,
      group: options.group,
      listen: options.listen,
      clusterId: () => store.meta.clusterId,
      handlers: {
        onMessage: (from, message) => {
          this.cluster.onMessageFrom(from.id)
          this.driver?.input({ kind: 'message', from, message })
        },
        onClient: (connection, message) => this.onClient({ kind: 'client', connection, message }),
        onClientGone: (connection) => this.onClient({ kind: 'clientGone', connection }),
      },
      logger: this.wireLogger(),
      transport: options.transport,
    })
    store.onWritten = (token) => this.onWritten(token)
    // A full disk is the most likely reason of all.
    store.onFailed = (reason) => this.halt(`${reason} (${Math.floor(this.disk.bytes / MiB)} MiB free on its disk)`)
  }

  /** Listens, loads the core and begins. Rejects when the port is taken or the store is damaged. */
  async start(): Promise<void> {
    // First, so that a taken port is told at once and peers see a server that is there, though it says nothing yet.
    this.address = await this.wire.listen()
    await this.disk.start()
    const core = await this.load()
    if (this.ended) throw new Error('stopped while loading')
    this.driver = new NodeDriver<ReplicaInput, ReplicaEffect>({
      core,
      clock: systemClock,
      wire: this.wire,
      write: (_token, writes, durable) => {
        const ours = ++this.writes
        this.onDurable.set(ours, durable)
        this.store.write(ours, writes)
      },
      other: (effect) => this.execute(effect),
      onHalt: (reason) => this.halt(reason),
      onEvent: (name, fields) => this.event(name, fields),
      health: (sleptMs) => this.health(sleptMs),
    })
    this.event('started', { address: this.advertised(), version: VERSION, dataDir: this.options.dataDir })
    this.held.release((input) => this.driver?.input(input))
  }

  leave(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, withinMs)
      this.onLeft = () => {
        clearTimeout(timer)
        resolve()
      }
      // A core that is being loaded has no part in any epoch that waits for it.
      if (this.driver === undefined || this.loading !== undefined || this.ended) this.onLeft()
      else this.driver.input({ kind: 'leave' })
    })
  }

  async stop(): Promise<void> {
    if (this.ended) return this.ending
    this.event('stopping', {})
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

  /** Ends everything in the order of its dependence; the store last, when nobody can write any more. */
  end(): Promise<void> {
    return (this.ending ??= this.endOnce(() => this.store.close()))
  }

  private get ended(): boolean {
    return this.ending !== undefined
  }

  private async endOnce(endStore: () => Promise<void>): Promise<void> {
    this.driver?.stop()
    this.disk.stop()
    this.reads.clear()
    this.stalls.stop()
    await this.wire.close()
    await this.loading?.catch(() => undefined)
    await endStore()
  }

  /** Never limps on. Does not wait for the store: its disk may be what does not answer. */
  private halt(reason: string): void {
    if (this.ended) return
    this.options.logger.error(reason)
    this.settle({ exitCode: 1, reason })
    this.end().catch((error: unknown) => this.options.logger.error(`closing failed: ${String(error)}`))
  }

  private onWritten(token: number): void {
    const durable = this.onDurable.get(token)
    this.onDurable.delete(token)
    durable?.()
  }

  private onClient(input: ClientInput): void {
    if (this.driver !== undefined && this.loading === undefined) this.driver.input(input)
    else this.held.hold(input)
  }

  private execute(effect: HostEffect): void {
    switch (effect.kind) {
      case 'readLog': {
        const { token } = effect
        const read = (): Promise<LogSlice> => this.store.readLog(effect.from, effect.to, effect.maxBytes)
        return this.answer(read, (slice) => ({ kind: 'logRead', token, ...slice }))
      }
      case 'readSnapshot': {
        const { token, chunk } = effect
        const read = (): Promise<SnapshotPiece> => this.store.readSnapshot(effect.snapshotId, chunk)
        return this.answer(read, (piece) => ({ kind: 'snapshotRead', token, chunk, ...piece }))
      }
      case 'left':
        return this.onLeft?.()
      case 'reload':
        return this.reload(effect.rebuilt)
      default:
        return unreachable(effect)
    }
  }

  private answer<T>(read: () => Promise<T>, input: (answer: T) => ReplicaInput): void {
    const { generation } = this
    const isWanted = (): boolean => generation === this.generation && !this.ended
    this.reads.add(() => {
      if (!isWanted()) return
      read().then(
        (found) => {
          if (isWanted()) this.driver?.input(input(found))
        },
        // A store that cannot read has reported its failure by itself.
        () => undefined,
      )
    })
  }

  private reload(rebuilt: Rebuilt | undefined): void {
    this.driver?.replaceCore(undefined)
    this.load(rebuilt).then(
      (core) => {
        if (this.ended) return
        this.driver?.replaceCore(core)
        if (this.onLeft !== undefined) this.driver?.input({ kind: 'leave' })
        this.held.release((input) => this.driver?.input(input))
      },
      (error: unknown) => this.halt((error as Error).message),
    )
  }

  private load(rebuilt?: Rebuilt): Promise<ReplicaNode> {
    this.generation++
    const { machine, logger } = this.options
    const loaded = loadCore({
      store: this.store,
      options: this.coreOptions(),
      machine,
      rebuilt,
      logger,
      given: () => this.ended,
    })
    const core = loaded.then((found) => {
      this.loadCost = found.cost
      return found.core
    })
    this.loading = core.then(() => undefined)
    // Whoever asked for the core handles its failure.
    this.loading.catch(() => undefined)
    return core.finally(() => (this.loading = undefined))
  }

  private coreOptions(): ReplicaOptions {
    const { id, zone, configServers, snapshotEveryBytes, minLogBytesKept } = this.options
    return {
      id,
      address: this.advertised(),
      ...(zone === undefined ? {} : { zone }),
      configServers,
      pid: process.pid,
      startedAt: this.startedAt,
      version: VERSION,
      seed: randomSeed(),
      snapshotEveryBytes: snapshotEveryBytes ?? SNAPSHOT_EVERY_BYTES,
      minLogBytesKept: minLogBytesKept ?? MIN_LOG_BYTES_KEPT,
    }
  }

  private advertised(): string {
    return this.options.advertise ?? this.address
  }

  private health(sleptMs: number): ReplicaInput {
    if (sleptMs > 0) this.event('loopStalled', { sleptMs: Math.round(sleptMs) })
    return { kind: 'health', wallMs: wallMs(), sleptMs, freeDiskBytes: this.disk.bytes }
  }

  /** The wire tells of refused links by an event; some refusals mean that this store is not meant. */
  private wireLogger(): Logger {
    const { logger, dataDir } = this.options
    return {
      ...logger,
      event: (name, fields = {}) => {
        logger.event(name, fields)
        const wrong = name === 'linkRefused' ? this.cluster.onRefused(fields) : undefined
        if (wrong !== undefined) this.halt(`data directory ${dataDir} ${wrong}`)
      },
    }
  }

  private event(name: EventName, fields: LogFields): void {
    const more = name === 'recovered' ? { ...fields, ...this.loadCost } : fields
    this.options.logger.event(name, this.stalls.onEvent(name, more))
  }
}
