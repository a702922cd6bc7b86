// A running cluster in the hands of its test: clients, faults, changes of members. What a test asks for goes through the clients of production.
import {
  connectAdmin,
  connectClerk,
  type AdminCallOptions,
  type AdminClient,
  type Clerk,
  type ConnectOptions,
} from '@coppice/clerk'
import {
  CoppiceError,
  type AbortSignalLike,
  type AdminResult,
  type Epoch,
  type ErrorCode,
  type NodeId,
} from '@coppice/protocol'
import { randomId, type Dial } from '@coppice/runtime'
import { connect, type Db, type DbOptions } from '@coppice/vkv'
import type { Network } from './network.js'
import type { Settings } from './options.js'
import type { Server } from './server.js'
import { statusOf, type EmbeddedStatus } from './status.js'

/** Of a clerk of an embedded cluster. */
export interface EmbeddedConnectOptions extends ConnectOptions {
  /** What the client is called in partitions. Default 'client'. */
  readonly name?: string | undefined
}
/** Of a client of an embedded cluster's store. */
export type EmbeddedDbOptions = DbOptions & EmbeddedConnectOptions

/** A server that owes an answer is passed over sooner than in production: failovers are faster, too. */
const SILENCE = 250
const CLIENT = 'client'
/** A change of members may wait for a server that does not answer, and be taken up again after a failover. */
const ANSWER = '30s'
/** The cluster's own questions; no partition cuts them off. */
const OPERATOR = 'operator'

interface Closable {
  close(): Promise<void>
}

/** A cluster inside this process, made by `startEmbedded`: clients, faults, changes of members. Calls after `close` fail with CLOSED. */
export class EmbeddedCluster {
  private readonly settings: Settings
  private readonly network: Network
  private readonly servers: readonly Server[]
  private readonly clients = new Set<Closable>()
  private readonly admins = new Set<AdminClient>()
  private readonly clientNames = new Set([CLIENT])
  /** Ends clients that are connecting when the cluster is closed. */
  private readonly ending = new AbortController()
  private closing: Promise<void> | undefined

  /** @internal */
  constructor(settings: Settings, network: Network, servers: readonly Server[]) {
    this.settings = settings
    this.network = network
    this.servers = servers
  }

  /** Where other processes reach it. Throws CONFLICT unless it was started with `listen: true`. */
  get url(): string {
    if (!this.settings.listen)
      throw wrong('CONFLICT', 'other processes cannot reach this cluster; start it with { listen: true }')
    return `coppice://${this.configAddresses.join(',')}`
  }

  /** Ids of its servers: c1 … and r1 …. */
  get ids(): readonly NodeId[] {
    return this.servers.map(({ id }) => id)
  }

  /** A client of the key-value store, as `connect` of @coppice/vkv gives it. `close` of the cluster closes it, too. */
  async connect(options: EmbeddedDbOptions = {}): Promise<Db> {
    if (this.settings.machine !== undefined)
      throw wrong('CONFLICT', 'this cluster runs a state machine of your own, not the key-value store; use clerk()')
    const { name = CLIENT, ...more } = options
    return this.client(name, more, (all, dial) => connect(this.configAddresses, all, dial))
  }

  /** An exactly-once clerk of its state machine. `close` of the cluster closes it, too. */
  async clerk(options: EmbeddedConnectOptions = {}): Promise<Clerk> {
    const { name = CLIENT, ...more } = options
    return this.client(name, more, (all, dial) => connectClerk(this.configAddresses, all, dial))
  }

  /** As kill -9: what its disk does not hold is gone. */
  async crash(id: NodeId): Promise<void> {
    await this.server(id).crash()
  }

  /** Starts a server that crashed on what its disk holds. Resolves when it has loaded that; it joins the group by itself. */
  async restart(id: NodeId): Promise<void> {
    await this.server(id).start()
  }

  /** As SIGSTOP. */
  async pause(id: NodeId): Promise<void> {
    await this.server(id).pause()
  }

  /** As SIGCONT. */
  async resume(id: NodeId): Promise<void> {
    await this.server(id).resume()
  }

  /**
   * Nothing gets from one of these sides to another any more, either way; whoever is on no side reaches all. Sides name servers, and clients by the
   * name they were connected with. What was cut before stays cut.
   */
  async partition(...sides: readonly (readonly string[])[]): Promise<void> {
    this.refuseClosed()
    if (sides.length < 2) throw wrong('INVALID_ARGUMENT', "partition: name two sides at least: ['r1'], ['r2', 'r3']")
    for (const side of sides) for (const id of side) if (!this.clientNames.has(id)) this.server(id)
    const twice = sides.flat().find((id, i, all) => all.indexOf(id) !== i)
    if (twice !== undefined) throw wrong('INVALID_ARGUMENT', `partition: ${twice} is on two sides`)
    this.network.partition(sides)
  }

  /** Ends all partitions. */
  async heal(): Promise<void> {
    this.refuseClosed()
    this.network.heal()
  }

  /** Moves the group to these members, primary first. Answers the epoch; fails with CONFLICT when it cannot be. */
  async reconfigure(to: readonly NodeId[], options?: AdminCallOptions): Promise<{ readonly epoch: Epoch }> {
    for (const id of to) this.replica(id)
    return this.change((admin) => admin.reconfigure(to, randomId(), options))
  }

  /** Makes a member the primary. Answers the epoch; fails with CONFLICT when it cannot be. */
  async handover(to: NodeId, options?: AdminCallOptions): Promise<{ readonly epoch: Epoch }> {
    this.replica(to)
    return this.change((admin) => admin.handover(to, randomId(), options))
  }

  /** The group and each server, as they say themselves. */
  async status(options?: AdminCallOptions): Promise<EmbeddedStatus> {
    return this.asking((admin) => statusOf(admin, this.servers, options))
  }

  /** Closes its clients and stops all servers; nothing is left open. Fails when a server stopped by itself, saying why. */
  close(): Promise<void> {
    return (this.closing ??= this.closeOnce())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  private async closeOnce(): Promise<void> {
    this.ending.abort()
    for (const admin of this.admins) admin.close()
    await Promise.all([...this.clients].map((client) => client.close()))
    this.network.heal()
    await Promise.all(this.servers.map((server) => server.stop()))
    const failed = this.servers.filter(({ failure }) => failure !== undefined)
    if (failed.length === 0) return
    const words = failed.map(({ id, failure }) => `${id} stopped by itself: ${failure}`).join('; ')
    throw new CoppiceError(words, { code: 'INTERNAL', outcome: 'unknown' })
  }

  private async client<T extends Closable, O extends ConnectOptions>(
    name: string,
    options: O,
    open: (options: O, dial: Dial) => Promise<T>,
  ): Promise<T> {
    this.refuseClosed()
    if (this.servers.some(({ id }) => id === name) || name === OPERATOR)
      throw wrong('INVALID_ARGUMENT', `a client cannot be called ${name}: that is a server`)
    this.clientNames.add(name)
    const { signal } = this.ending
    // One that cannot be listened to is refused by `open`.
    const both = typeof options.signal?.addEventListener === 'function' ? eitherOf(signal, options.signal) : undefined
    try {
      const client = await open(
        { silence: SILENCE, ...options, signal: both?.signal ?? options.signal ?? signal },
        this.network.dialOf(name),
      )
      // Closed in the very moment in which it was connected.
      if (signal.aborted) await client.close()
      else this.clients.add(client)
      return client
    } catch (error) {
      this.refuseClosed()
      throw error
    } finally {
      both?.forget()
    }
  }

  private async change(ask: (admin: AdminClient) => Promise<AdminResult>): Promise<{ epoch: Epoch }> {
    const { ok, message, epoch } = await this.asking(ask)
    if (!ok) throw wrong('CONFLICT', message)
    return { epoch }
  }

  /** Questions to the cluster; they end when it is closed. */
  private async asking<T>(ask: (admin: AdminClient) => Promise<T>): Promise<T> {
    this.refuseClosed()
    const admin = connectAdmin(this.configAddresses, { timeout: ANSWER }, this.network.dialOf(OPERATOR))
    this.admins.add(admin)
    try {
      return await ask(admin)
    } catch (error) {
      this.refuseClosed()
      throw error
    } finally {
      this.admins.delete(admin)
      admin.close()
    }
  }

  private get configAddresses(): string[] {
    return this.servers.filter(({ kind }) => kind === 'config').map(({ address }) => address)
  }

  private replica(id: NodeId): void {
    if (this.server(id).kind !== 'replica') throw wrong('INVALID_ARGUMENT', `${id} is a config server, not a replica`)
  }

  private server(id: NodeId): Server {
    this.refuseClosed()
    const server = this.servers.find((each) => each.id === id)
    if (server !== undefined) return server
    throw wrong('NOT_FOUND', `there is no server ${id}; the cluster has ${this.ids.join(', ')}`)
  }

  private refuseClosed(): void {
    if (this.closing !== undefined) throw wrong('CLOSED', 'the cluster is closed; start another one')
  }
}

function wrong(code: ErrorCode, message: string): CoppiceError {
  return new CoppiceError(message, { code, outcome: 'not-applied' })
}

/** Aborted with the first of the two; `forget` takes its listeners away. */
function eitherOf(own: AbortSignal, given: AbortSignalLike): { signal: AbortSignal; forget: () => void } {
  const controller = new AbortController()
  const listened = [own, given].map((signal) => {
    const listener = (): void => controller.abort(signal.reason)
    if (signal.aborted) listener()
    signal.addEventListener('abort', listener, { once: true })
    return { signal, listener }
  })
  const forget = (): void => {
    for (const { signal, listener } of listened) signal.removeEventListener('abort', listener)
  }
  return { signal: controller.signal, forget }
}
