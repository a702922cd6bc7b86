// A cluster of real processes for one test file: config servers on several loopback addresses, replicas, spares; ways to find out who
// does what, and to wait until the group is whole again.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AdminClient, connectAdmin, type GroupView } from '@coppice/clerk'
import { connect, type Db, type DbOptions } from '@coppice/vkv'
import { freeAddress } from './ports.js'
import { COMMAND, ServerProcess } from './server-process.js'
import { until } from './wait.js'

export interface ClusterOptions {
  readonly configServers?: number
  /** Spares included. */
  readonly replicas?: number
  readonly wanted?: number
  /** Another script for some replicas, by id; it takes the same options as `coppice server replica`. */
  readonly scripts?: Readonly<Record<string, string>>
}

export class Cluster {
  readonly dir = mkdtempSync(join(tmpdir(), 'coppice-process-'))
  readonly configServers: ServerProcess[] = []
  readonly replicas: ServerProcess[] = []
  readonly wanted: number
  private readonly scripts: Readonly<Record<string, string>>
  private readonly dbs: Db[] = []
  private adminClient: AdminClient | undefined

  private constructor(options: ClusterOptions) {
    this.wanted = options.wanted ?? 3
    this.scripts = options.scripts ?? {}
  }

  /** Resolves once the group runs with `wanted` members. */
  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const cluster = new Cluster(options)
    try {
      await cluster.addConfigServers(options.configServers ?? 3)
      for (let i = 1; i <= (options.replicas ?? 4); i++) await cluster.addReplica(`r${i}`)
      await Promise.all(cluster.processes.map((process) => process.start()))
      await cluster.whole()
      return cluster
    } catch (error) {
      await cluster.stop()
      throw error
    }
  }

  get processes(): readonly ServerProcess[] {
    return [...this.configServers, ...this.replicas]
  }
  get addresses(): string[] {
    return this.configServers.map(({ address }) => address)
  }
  get admin(): AdminClient {
    return (this.adminClient ??= connectAdmin(this.addresses, { timeout: '30s' }))
  }

  /** A client of its own, closed with the cluster. */
  async connect(options: DbOptions = {}): Promise<Db> {
    const db = await connect(this.addresses, { timeout: '60s', ...options })
    this.dbs.push(db)
    return db
  }

  byId(id: string): ServerProcess {
    const found = this.processes.find((process) => process.id === id)
    if (found === undefined) throw new Error(`no server ${id}`)
    return found
  }

  view(): Promise<GroupView> {
    return this.admin.getGroup()
  }
  async members(): Promise<ServerProcess[]> {
    return (await this.view()).state.members.map((id) => this.byId(id))
  }
  async primary(): Promise<ServerProcess> {
    return (await this.members())[0]!
  }
  /** The config server that leads; waits for an election. */
  leader(): Promise<ServerProcess> {
    return until('config leader', async () => {
      for (const server of this.configServers) {
        if (!server.isRunning) continue
        const status = await this.admin.status(server.address, 'config', { timeout: 1_000 }).catch(() => undefined)
        if (status?.role === 'leader') return server
      }
      return undefined
    })
  }

  /** Waits until `wanted` members (or exactly `ids`) serve the newest epoch, each one running; answers the epoch. */
  whole(ids?: readonly string[]): Promise<number> {
    return until(`group of ${ids?.join(', ') ?? this.wanted}`, async () => {
      const { epoch, members } = (await this.view()).state
      if (ids === undefined ? members.length !== this.wanted : members.join() !== ids.join()) return undefined
      const roles = await Promise.all(members.map((id) => this.roleOf(this.byId(id), epoch)))
      return roles.every((role, i) => role === (i === 0 ? 'primary' : 'backup')) ? epoch : undefined
    })
  }

  private async roleOf(replica: ServerProcess, epoch: number): Promise<string | undefined> {
    if (!replica.isRunning) return undefined
    const status = await this.admin.status(replica.address, 'replica', { timeout: 1_000 })
    return status.epoch === epoch ? status.role : undefined
  }

  private async addConfigServers(count: number): Promise<void> {
    // Several addresses of one machine where it has them: as on several machines.
    const host = (i: number): string => (process.platform === 'linux' ? `127.0.0.${i}` : '127.0.0.1')
    const peers: { id: string; address: string }[] = []
    for (let i = 1; i <= count; i++) peers.push({ id: `c${i}`, address: await freeAddress(host(i)) })
    const named = peers.map(({ id, address }) => `${id}=${address}`).join(',')
    for (const { id, address } of peers) {
      const dataDir = join(this.dir, id)
      const args = [
        '--id',
        id,
        '--listen',
        address,
        '--peers',
        named,
        '--data',
        dataDir,
        '--wanted',
        String(this.wanted),
      ]
      this.configServers.push(
        new ServerProcess({ id, kind: 'config', address, dataDir }, [COMMAND, 'server', 'configsvc', ...args]),
      )
    }
  }

  /** One that waits to be added to the cluster; told of the running ones' addresses alone. */
  async joinConfigServer(id: string, running: readonly string[]): Promise<ServerProcess> {
    const address = await freeAddress()
    const dataDir = join(this.dir, id)
    const args = ['--id', id, '--listen', address, '--join', running.join(','), '--data', dataDir]
    const server = new ServerProcess({ id, kind: 'config', address, dataDir }, [
      COMMAND,
      'server',
      'configsvc',
      ...args,
    ])
    this.configServers.push(server)
    await server.start()
    return server
  }

  /** Not started yet. `config`: what it is told of the config servers. */
  async addReplica(
    id: string,
    config = this.configServers.map((server) => `${server.id}=${server.address}`).join(','),
  ): Promise<ServerProcess> {
    const address = await freeAddress()
    const dataDir = join(this.dir, id)
    const args = ['--id', id, '--listen', address, '--advertise', address, '--config', config, '--data', dataDir]
    const script = this.scripts[id]
    const command = script === undefined ? [COMMAND, 'server', 'replica', ...args] : [script, ...args]
    const replica = new ServerProcess({ id, kind: 'replica', address, dataDir }, command)
    this.replicas.push(replica)
    return replica
  }

  /** kill -9 of every process that still runs, and no trace on the disk. */
  async stop(): Promise<void> {
    this.adminClient?.close()
    await Promise.all(this.dbs.map((db) => db.close().catch(() => undefined)))
    await Promise.all(this.processes.map((process) => process.kill()))
    rmSync(this.dir, { recursive: true, force: true })
  }
}
