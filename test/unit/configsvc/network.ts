// A small deterministic network of config cores and fake replicas: one queue of events, seeded delays, losses and duplicates, disks that
// lose what was not durable, and the invariants of PROTOCOL 8 that concern the config service, looked at after every event.
import { DEFAULT_ELECTION, DEFAULT_PARAMS } from '@coppice/protocol'
import type {
  Accepted,
  AdminResult,
  Affinity,
  Ballot,
  ClientToConfig,
  ConfigServerChange,
  ConfigState,
  ConfigToClient,
  ConfigToConfig,
  ConfigToReplica,
  ElectionParams,
  FromConfigServer,
  NodeId,
  Params,
  ReplicaToConfig,
  ToConfigServer,
} from '@coppice/protocol'
import { ConfigNode, ZERO_BALLOT } from '@coppice/configsvc'
import type { ConfigEffect, ConfigInput, RegisterWrite } from '@coppice/configsvc'
import { SeededRandom } from '../../../packages/configsvc/src/core/random.js'
import { FakeReplica } from './fake-replica.js'

interface Disk {
  storeId: string
  promised: Ballot
  accepted: Map<string, Accepted>
}

interface ConfigProcess {
  readonly id: NodeId
  disk: Disk
  core: ConfigNode | undefined
  incarnation: number
  wakeSetFor: number
  rate: number
}

export interface NetworkOptions {
  configs?: number
  replicas?: number
  wanted?: number
  seed?: number
  loss?: number
  duplication?: number
  params?: Partial<Params>
  election?: Partial<ElectionParams>
  skew?: boolean
}

const MESSAGE_MS = 1
const FSYNC_MS = 1

export class Network {
  now = 0
  readonly configs = new Map<NodeId, ConfigProcess>()
  readonly replicas = new Map<NodeId, FakeReplica>()
  readonly events: { at: number; id: NodeId; name: string; fields: Readonly<Record<string, unknown>> }[] = []
  readonly replies: { connection: number; message: ConfigToClient }[] = []
  readonly effects: { id: NodeId; effect: ConfigEffect }[] = []
  /** Links that carry nothing, as 'from>to'. */
  readonly cut = new Set<string>()
  loss: number
  duplication: number
  /** Looked at before a message is delivered; false drops it. */
  filter: (from: NodeId, to: NodeId, message: { kind: string }) => boolean = () => true
  /** Highest index that was committed, exclusive; and the newest activated value. */
  committed = 0
  readonly chosenByKey = new Map<string, string>()
  readonly newestByGroup = new Map<string, ConfigState>()
  private readonly queue: { at: number; seq: number; run: () => void }[] = []
  private readonly checked = new WeakSet<ConfigState>()
  private seq = 0
  private readonly random: SeededRandom
  private readonly options: NetworkOptions
  private readonly params: Params
  private readonly peers: { id: NodeId; address: string }[] = []

  constructor(options: NetworkOptions = {}) {
    this.options = options
    this.loss = options.loss ?? 0
    this.duplication = options.duplication ?? 0
    this.random = new SeededRandom(options.seed ?? 1)
    this.params = { ...DEFAULT_PARAMS, ...options.params }
    for (let i = 1; i <= (options.configs ?? 3); i++) this.peers.push({ id: `c${i}`, address: `c${i}:1` })
    for (const { id } of this.peers) {
      const disk = { storeId: `store-${id}`, promised: ZERO_BALLOT, accepted: new Map<string, Accepted>() }
      this.configs.set(id, { id, disk, core: undefined, incarnation: 0, wakeSetFor: Infinity, rate: this.skewed() })
      this.startConfig(id)
    }
    for (let i = 1; i <= (options.replicas ?? 0); i++) this.addReplica(`r${i}`)
  }

  // ---- processes

  /** A server with an empty store that waits to be added; it is told of the peers the cluster began with. */
  joinConfig(id: NodeId): void {
    const disk = { storeId: `store-${id}`, promised: ZERO_BALLOT, accepted: new Map<string, Accepted>() }
    this.configs.set(id, { id, disk, core: undefined, incarnation: 0, wakeSetFor: Infinity, rate: this.skewed() })
    this.startConfig(id)
  }

  startConfig(id: NodeId): void {
    const p = this.configs.get(id)!
    const { storeId, promised, accepted } = p.disk
    p.incarnation++
    p.core = new ConfigNode(
      {
        id,
        address: `${id}:1`,
        peers: this.peers,
        election: { ...DEFAULT_ELECTION, ...this.options.election },
        wanted: this.options.wanted ?? 3,
        params: this.params,
        newClusterId: `cluster-of-${id}`,
        pid: 1,
        startedAt: 0,
        version: 'test',
        seed: Math.floor(this.random.next() * 2 ** 31),
      },
      { storeId, promised, accepted: [...accepted.values()] },
      this.now * p.rate,
    )
    p.wakeSetFor = Infinity
    this.arm(p)
  }

  crash(id: NodeId): void {
    const p = this.configs.get(id)
    if (p === undefined) return this.replicas.get(id)!.crash()
    p.core = undefined
    p.incarnation++
  }

  restart(id: NodeId): void {
    if (this.configs.has(id)) return this.startConfig(id)
    this.replicas.get(id)!.restart()
  }

  wipeConfig(id: NodeId): void {
    this.crash(id)
    this.configs.get(id)!.disk = { storeId: `store2-${id}`, promised: ZERO_BALLOT, accepted: new Map() }
  }

  addReplica(id: NodeId, group = 'main'): FakeReplica {
    const replica: FakeReplica = new FakeReplica(
      id,
      () => this.now,
      (to, m) => this.fromReplica(replica, to, m),
    )
    replica.group = group
    replica.rate = this.skewed()
    this.replicas.set(id, replica)
    const report = (): void => {
      if (replica.up) replica.report()
      this.after(this.random.between(160, 240), report)
    }
    this.after(this.random.between(0, 50), report)
    return replica
  }

  isolate(id: NodeId): void {
    for (const other of [...this.configs.keys(), ...this.replicas.keys()]) {
      this.cut.add(`${id}>${other}`)
      this.cut.add(`${other}>${id}`)
    }
  }

  /** Nothing passes between the two, in either direction. */
  separate(a: NodeId, b: NodeId): void {
    this.cut.add(`${a}>${b}`)
    this.cut.add(`${b}>${a}`)
  }

  heal(): void {
    this.cut.clear()
  }

  // ---- what tests ask

  get leader(): ConfigProcess | undefined {
    const leaders = [...this.configs.values()].filter((p) => p.core?.view.isLeader === true)
    return leaders.sort((a, b) => b.core!.view.ballot!.round - a.core!.view.ballot!.round)[0]
  }

  get main(): ConfigState | undefined {
    return this.newestByGroup.get('main')
  }

  eventsNamed(name: string): Readonly<Record<string, unknown>>[] {
    return this.events.filter((e) => e.name === name).map((e) => e.fields)
  }

  runFor(ms: number): void {
    const end = this.now + ms
    while (this.queue.length > 0 && this.queue[0]!.at <= end) this.next()
    this.now = end
  }

  /** Runs until `holds`; throws with what is known after `withinMs`. */
  runUntil(holds: () => boolean, withinMs = 10_000, what = 'the condition'): void {
    const end = this.now + withinMs
    while (!holds()) {
      if (this.queue.length === 0 || this.queue[0]!.at > end) {
        const tail = this.events
          .slice(-12)
          .map((e) => `${e.at.toFixed(0)} ${e.id} ${e.name} ${JSON.stringify(e.fields)}`)
        throw new Error(
          `${what} did not come within ${withinMs} ms; ${JSON.stringify(this.main?.members)}\n${tail.join('\n')}`,
        )
      }
      this.next()
    }
  }

  untilActive(members: readonly NodeId[], withinMs = 10_000): void {
    const done = (): boolean =>
      this.main?.members.join() === members.join() && members.every((id) => this.replicas.get(id)!.activated)
    this.runUntil(done, withinMs, `members ${members.join()}`)
  }

  /** SIGTERM of a config server; it goes on until the test crashes it. */
  leave(id: NodeId): void {
    this.give(this.configs.get(id)!, { kind: 'leave' })
  }
  /** Why a config server that leaves may end; undefined: it may not yet. */
  left(id: NodeId): string | undefined {
    for (const { id: of, effect } of this.effects) if (of === id && effect.kind === 'left') return effect.reason
    return undefined
  }

  /** Another config server than `old` leads and has recommitted. */
  untilOtherLeads(old: NodeId, withinMs: number): void {
    const recommitted = (): boolean => {
      const { round = 0 } = this.leader?.core?.view.ballot ?? {}
      const holders = [...this.configs.values()].filter(({ disk }) => disk.accepted.get('main')?.ballot.round === round)
      return this.leader !== undefined && this.leader.id !== old && holders.length * 2 > this.configs.size
    }
    this.runUntil(recommitted, withinMs, `another leader than ${old}`)
  }

  /** The server that is left leads, or is able to: it has the promises of a majority. */
  untilOtherLeadsAlone(old: NodeId): void {
    const elected = (): boolean =>
      this.events.some(({ id, name, at }) => name === 'leaderElected' && id !== old && at > 0)
    this.runUntil(elected, 100, `an election without ${old}`)
  }

  /** A message between config servers that comes when it should not. */
  tell(from: NodeId, to: NodeId, message: ConfigToConfig): void {
    const { storeId } = this.configs.get(from)!.disk
    this.give(this.configs.get(to)!, { kind: 'message', from: { id: from, storeId }, message })
  }

  ask(id: NodeId, connection: number, message: ClientToConfig): void {
    this.give(this.configs.get(id)!, { kind: 'client', connection, message })
  }

  /** Sends an operator's request to the leader and runs until it is answered. */
  reconfigure(to: NodeId[], adminId = `admin-${to.join()}`, withinMs = 20_000): AdminResult {
    return this.askAdmin({ kind: 'admin', requestId: 1, adminId, group: 'main', to }, adminId, withinMs)
  }

  /** Asks the leader whether the primary shall follow its writers, and runs until it is answered. */
  setAffinity(affinity: Affinity['mode']): AdminResult {
    const adminId = `affinity-${affinity}-${this.now}`
    const message = { kind: 'admin' as const, requestId: 1, adminId, group: 'main', to: [], affinity }
    return this.askAdmin(message, adminId, 20_000)
  }

  /** Clerks of this zone had operations admitted. */
  countWrites(zone: string, operations: number): void {
    const primary = this.main?.members[0]
    if (primary !== undefined) this.replicas.get(primary)!.countWrites(zone, operations)
  }

  private askAdmin(message: ClientToConfig, adminId: string, withinMs: number): AdminResult {
    let result: AdminResult | undefined
    let again = 0
    let connection = 1000
    this.runUntil(
      () => {
        result = this.replies
          .map((r) => r.message)
          .flatMap((m) => (m.kind === 'adminAnswer' && m.result?.requestId === adminId ? [m.result] : []))[0]
        if (result === undefined && this.now >= again && this.leader !== undefined) {
          again = this.now + 1_000
          this.ask(this.leader.id, ++connection, message)
        }
        return result !== undefined
      },
      withinMs,
      `answer to ${adminId}`,
    )
    return result!
  }

  /** Asks the leader for a change of the config servers and runs until it is answered. */
  change(change: ConfigServerChange, adminId = JSON.stringify(change), withinMs = 20_000): AdminResult {
    return this.askAdmin({ kind: 'changeConfigServers', requestId: 1, adminId, change }, adminId, withinMs)
  }

  /** One operation through the active epoch, if all its members take it (R3). */
  write(): boolean {
    const c = this.main
    if (c === undefined || c.epoch === 0 || !c.members.every((id) => this.replicas.get(id)!.serves(c.epoch)))
      return false
    const members = c.members.map((id) => this.replicas.get(id)!)
    if (members[0]!.claimedBefore === c.epoch) return false
    for (const r of members) {
      r.next++
      r.commit = r.next
    }
    this.committed = members[0]!.next
    return true
  }

  after(ms: number, run: () => void): void {
    const event = { at: this.now + ms, seq: ++this.seq, run }
    let low = 0
    let high = this.queue.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.queue[middle]!.at <= event.at) low = middle + 1
      else high = middle
    }
    this.queue.splice(low, 0, event)
  }

  // ---- machinery

  private skewed(): number {
    return this.options.skew === true ? this.random.between(0.955, 1.045) : 1
  }

  private next(): void {
    const e = this.queue.shift()!
    this.now = e.at
    e.run()
    this.check()
  }

  private give(p: ConfigProcess, input: ConfigInput): void {
    if (p.core === undefined) return
    const effects = [...p.core.step(this.now * p.rate, input)]
    for (const effect of effects) this.execute(p, effect)
    this.arm(p)
  }

  private arm(p: ConfigProcess): void {
    const at = (p.core?.wakeAt ?? Infinity) / p.rate
    if (at === Infinity || at >= p.wakeSetFor) return
    p.wakeSetFor = at
    const { incarnation } = p
    this.after(Math.max(0, at - this.now) + 0.001, () => {
      if (p.incarnation !== incarnation || p.core === undefined) return
      p.wakeSetFor = Infinity
      if (this.now * p.rate >= p.core.wakeAt) this.give(p, { kind: 'tick' })
      else this.arm(p)
    })
  }

  private execute(p: ConfigProcess, effect: ConfigEffect): void {
    this.effects.push({ id: p.id, effect })
    switch (effect.kind) {
      case 'send':
        return this.transmit(p.id, effect.to, effect.message, () => this.deliver(p, effect.to, effect.message))
      case 'reply':
        this.replies.push({ connection: effect.connection, message: effect.message })
        return
      case 'write': {
        const { incarnation } = p
        this.after(FSYNC_MS, () => {
          if (p.incarnation !== incarnation) return
          for (const w of effect.writes) persist(p.disk, w)
          this.give(p, { kind: 'written', token: effect.token })
        })
        return
      }
      case 'event':
        this.events.push({ at: this.now, id: p.id, name: effect.name, fields: effect.fields })
        return
      case 'halt':
        throw new Error(`${p.id} halted: ${effect.reason}`)
      case 'address':
        return
    }
  }

  private deliver(p: ConfigProcess, to: NodeId, message: FromConfigServer): void {
    const config = this.configs.get(to)
    const from = { id: p.id, storeId: p.disk.storeId }
    if (config !== undefined) return this.give(config, { kind: 'message', from, message: message as ToConfigServer })
    const replica = this.replicas.get(to)
    if (replica?.up === true) replica.onMessage(p.id, message as ConfigToReplica)
  }

  private fromReplica(replica: FakeReplica, to: NodeId | undefined, message: ReplicaToConfig): void {
    const from = { id: replica.id, storeId: replica.storeId }
    for (const id of to === undefined ? this.configs.keys() : [to]) {
      this.transmit(replica.id, id, message, () => this.give(this.configs.get(id)!, { kind: 'message', from, message }))
    }
  }

  private transmit(from: NodeId, to: NodeId, message: { kind: string }, run: () => void): void {
    if (!this.filter(from, to, message)) return
    const copies = this.random.next() < this.loss ? 0 : this.random.next() < this.duplication ? 2 : 1
    for (let i = 0; i < copies; i++) {
      const late = this.random.next() < this.duplication ? this.random.between(0, 300) : 0
      this.after(MESSAGE_MS + this.random.next() + late, () => {
        if (!this.cut.has(`${from}>${to}`)) run()
      })
    }
  }

  private check(): void {
    for (const p of this.configs.values()) {
      for (const group of p.core?.view.groups ?? []) this.checkChosen(p.core!.view.chosen(group)!)
    }
    // I4: no live lease for an epoch older than the chosen one.
    for (const r of this.replicas.values()) {
      const epoch = this.newestByGroup.get(r.group)?.epoch ?? 0
      if (r.leaseValid() && r.epoch < epoch)
        throw new Error(`I4: ${r.id} holds a lease of epoch ${r.epoch}, chosen is ${epoch}`)
    }
  }

  private checkChosen(value: ConfigState): void {
    const newest = this.newestByGroup.get(value.group)
    if (newest === value || this.checked.has(value)) return
    this.checked.add(value)
    const key = `${value.group}/${value.version}`
    const text = JSON.stringify(value)
    const before = this.chosenByKey.get(key)
    if (before !== undefined && before !== text) throw new Error(`two values chosen for ${key}:\n${before}\n${text}`)
    this.chosenByKey.set(key, text)
    if (newest !== undefined && newest.version >= value.version) return
    this.newestByGroup.set(value.group, value)
    // I1, I3: epochs go up and begin at or above everything committed.
    if (newest !== undefined && value.epoch < newest.epoch) throw new Error(`I1: epoch went back at ${key}`)
    if (value.group === 'main' && value.epoch !== (newest?.epoch ?? 0) && value.start < this.committed) {
      throw new Error(`I3: epoch ${value.epoch} starts at ${value.start}, committed is ${this.committed}`)
    }
  }
}

function persist(disk: Disk, write: RegisterWrite): void {
  if (write.kind === 'promised') disk.promised = write.ballot
  else disk.accepted.set(write.group, write.accepted)
}
