// One simulated cluster: its machines, network, clients and oracle, made from a seed and a plan.
import type {
  AdminResult,
  BytesPort,
  ClientToConfig,
  ConfigServerChange,
  ConfigToClient,
  NodeId,
  TextPort,
} from '@coppice/protocol'
import { DEFAULT_GROUP } from '@coppice/protocol'
import { ClientHost } from './hosts/client-host.js'
import { ConfigHost } from './hosts/config-host.js'
import type { Host, Surroundings } from './hosts/host.js'
import { ReplicaHost } from './hosts/replica-host.js'
import { NodeClock } from './kernel/clock.js'
import { Kernel } from './kernel/kernel.js'
import type { LinkServer } from './kernel/links.js'
import { Network } from './kernel/network.js'
import type { Prng } from './kernel/prng.js'
import type { Trace } from './kernel/trace.js'
import { Oracle } from './oracle/oracle.js'
import type { Plan } from './plan.js'
import { ANSWER_BOUND_MS } from './plan.js'
import type { Workload } from './workload/workload.js'
import { ZONES } from './zones.js'

/** Native helpers that pure code cannot have by itself. */
export interface SimPorts {
  readonly bytes: BytesPort
  readonly text: TextPort
}

/**
 * The simulated cluster of a run, as stories see it.
 * @internal
 */
export class Cluster {
  readonly kernel = new Kernel()
  readonly plan: Plan
  readonly random: Prng
  readonly trace: Trace
  readonly bytes: BytesPort
  readonly text: TextPort
  readonly network: Network
  readonly oracle: Oracle
  readonly configs: ConfigHost[] = []
  readonly replicas: ReplicaHost[] = []
  readonly answerBoundMs = ANSWER_BOUND_MS
  readonly events = new Map<string, number>()
  /** Set by stories that act on what cores report. */
  onEvent: ((node: NodeId, name: string, fields: Readonly<Record<string, unknown>>) => void) | undefined
  workload: Workload | undefined
  /** Everything healed: the plan says when, or a story that has nothing more to tell. */
  healed = false
  crashes = 0
  adminAnswers = 0
  /** Disks that config servers lost. */
  configWipes = 0
  #admins = 0
  #around: Surroundings | undefined

  constructor(plan: Plan, random: Prng, trace: Trace, ports: SimPorts) {
    this.plan = plan
    this.random = random
    this.trace = trace
    this.bytes = ports.bytes
    this.text = ports.text
    this.network = new Network(this.kernel, random.fork(), trace, {
      passMode: plan.passMode,
      text: ports.text,
      latencyMs: plan.latencyMs,
      fifo: plan.fifo,
      acrossRestarts: plan.acrossRestarts,
    })
    this.oracle = new Oracle(ports.bytes)
    this.#makeHosts()
    this.oracle.replicas = this.replicas
  }

  get hosts(): Host[] {
    return [...this.configs, ...this.replicas]
  }
  /** Names of all server machines. */
  get names(): NodeId[] {
    return this.hosts.map((h) => h.id)
  }
  /** The replica that may propose, if one is alive. */
  get primary(): ReplicaHost | undefined {
    return this.replicas.find((r) => r.view?.isPrimary === true)
  }
  /** The config server that leads, the newest if two believe so. */
  get leader(): ConfigHost | undefined {
    const leaders = this.configs.filter((c) => c.view?.isLeader === true)
    const round = (c: ConfigHost): number => c.view?.ballot?.round ?? 0
    return leaders.sort((a, b) => round(b) - round(a))[0]
  }

  /** A rate within ±ρ, or close to 1. */
  clockRate(): number {
    const { drift } = this.plan.params
    return this.random.chance(0.3) ? 1 : 1 + this.random.between(-drift, drift)
  }

  start(): void {
    for (const host of this.hosts) this.kernel.after(this.random.between(0, 300), () => host.start())
  }

  newClient(name: string): ClientHost {
    return new ClientHost(name, this.#clock(), this.random.fork(), this.network, this.trace, (address) =>
      this.#serverAt(address),
    )
  }

  /** Ends the faults before the plan does. */
  healNow(): void {
    this.healed = true
  }

  /** An operator asks some config server to move the group. */
  requestReconfiguration(to: readonly ReplicaHost[]): void {
    this.#requestChange(to.map((r) => r.id))
  }

  /** An operator asks some config server to make a member the primary. */
  requestHandover(to: ReplicaHost): void {
    this.#requestChange([to.id], true)
  }

  #requestChange(to: NodeId[], handover?: true): void {
    const adminId = `admin-${++this.#admins}`
    this.#ask({ kind: 'admin', requestId: 0, adminId, group: DEFAULT_GROUP, to, ...(handover && { handover }) }, 10)
  }

  /** An operator asks for a change of the config servers; `then` hears the result, if there is one. */
  requestConfigServers(change: ConfigServerChange, then: (result: AdminResult) => void = () => undefined): void {
    const adminId = `admin-${++this.#admins}`
    this.#ask({ kind: 'changeConfigServers', requestId: 0, adminId, change }, 60, then)
  }

  /** Another config server, with an empty store, that waits to be added. It is told of the servers the cluster began with. */
  newConfigServer(): ConfigHost {
    const host = this.#makeConfig(`c${this.configs.length + 1}`)
    host.start()
    return host
  }

  #ask(
    question: Extract<ClientToConfig, { kind: 'admin' | 'changeConfigServers' }>,
    tries: number,
    then: (result: AdminResult) => void = () => undefined,
  ): void {
    const client = this.newClient(`op${this.#admins}`)
    let requestId = 0
    const ask = (server: ConfigHost, triesLeft: number): void => {
      const link = client.dial(server.address)
      let answered = false
      link.onMessage = (message) => {
        const answer = message as ConfigToClient
        if (answer.kind !== 'adminAnswer') return
        answered = true
        link.close()
        if (answer.result !== null) {
          this.adminAnswers++
          then(answer.result)
        } else
          again(
            this.configs.find((c) => c.id === answer.leader),
            triesLeft,
          )
      }
      link.onClose = () => {
        if (!answered) again(undefined, triesLeft)
      }
      link.send({ ...question, requestId: ++requestId })
    }
    const again = (leader: ConfigHost | undefined, triesLeft: number): void => {
      if (triesLeft > 0) client.clock.after(150, () => ask(leader ?? client.random.pick(this.#running), triesLeft - 1))
    }
    ask(this.random.pick(this.#running), tries)
  }

  get #running(): ConfigHost[] {
    return this.configs.filter((c) => !c.retired)
  }

  #serverAt(address: string): LinkServer | undefined {
    return this.hosts.find((h) => h.address === address)
  }

  #clock(): NodeClock {
    return new NodeClock(this.kernel, this.clockRate(), this.random.between(0, 1e6), this.random.between(-1e4, 1e4))
  }

  #makeHosts(): void {
    const { plan, random } = this
    const around: Surroundings = (this.#around = {
      kernel: this.kernel,
      network: this.network,
      trace: this.trace,
      random: random.fork(),
      poison: plan.poison,
      onEvent: (node, name, fields) => this.#event(node, name, fields),
    })
    for (const { id } of this.#firstConfigs) this.#makeConfig(id)
    for (let i = 1; i <= plan.wanted + plan.spares; i++) {
      const id = `r${i}`
      const options = {
        id,
        address: `${id}:7000`,
        ...(plan.zoned ? { zone: ZONES[(i - 1) % ZONES.length]! } : {}),
        configServers: this.#firstConfigs,
        pid: 1,
        startedAt: 0,
        version: 'sim',
        snapshotEveryBytes: plan.snapshotEveryBytes,
        minLogBytesKept: plan.minLogBytesKept,
        changeLogBytes: plan.changeLogBytes,
      }
      this.replicas.push(new ReplicaHost(options, this.#clock(), plan.diskMs, this.bytes, this.oracle, around))
    }
    for (const host of this.replicas) this.network.nodes.set(host.id, host)
  }

  get #firstConfigs(): { id: NodeId; address: string }[] {
    return Array.from({ length: this.plan.configServers }, (_, i) => ({ id: `c${i + 1}`, address: `c${i + 1}:7000` }))
  }

  #makeConfig(id: NodeId): ConfigHost {
    const { plan } = this
    const options = {
      id,
      address: `${id}:7000`,
      peers: this.#firstConfigs,
      election: plan.election,
      wanted: plan.wanted,
      params: plan.params,
      newClusterId: '',
      pid: 1,
      startedAt: 0,
      version: 'sim',
      seed: 0,
    }
    const host = new ConfigHost(options, `${id}-store1`, this.#clock(), plan.diskMs, this.oracle, this.#around!)
    this.configs.push(host)
    this.network.nodes.set(id, host)
    return host
  }

  #event(node: NodeId, name: string, fields: Readonly<Record<string, unknown>>): void {
    this.onEvent?.(node, name, fields)
    const { for: next, epoch, leads } = fields
    if (name === 'drainEnded' && leads === true && Number(epoch) < Number(next))
      this.oracle.drainUndone(node, Number(epoch))
    this.events.set(name, (this.events.get(name) ?? 0) + 1)
    const how = fields['how'] ?? fields['cause']
    if (typeof how === 'string') {
      const detailed = `${name}:${how}`
      this.events.set(detailed, (this.events.get(detailed) ?? 0) + 1)
    }
  }
}
