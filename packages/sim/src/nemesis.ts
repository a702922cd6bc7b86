// The adversary: faults at random times from the plan's list, each undone after a while, and everything healed at the end. It never takes
// away what the protocol needs to keep its promises: at least one intact store of the active epoch, and enough machines to run on.
import type { Cluster } from './cluster.js'
import type { ConfigServerEntry } from '@coppice/protocol'
import type { ConfigHost } from './hosts/config-host.js'
import type { Host } from './hosts/host.js'
import type { ReplicaHost } from './hosts/replica-host.js'
import { resetSomeLink } from './kernel/links.js'
import { ZONES } from './zones.js'

/** What the nemesis may do. */
export const FAULTS = [
  'crashReplica',
  'crashPrimary',
  'crashConfig',
  'crashLeader',
  'crashPrimaryAndLeader',
  'crashAll',
  'crashAllReplicas',
  'killControllerInAttempt',
  'crashMemberInAttempt',
  'pause',
  'pausePrimary',
  'partitionOneWay',
  'partitionTwoWay',
  'isolatePrimary',
  'isolateLeader',
  'loss',
  'duplication',
  'slowNetwork',
  'clockRate',
  'wallJump',
  'slowDisk',
  'hangDisk',
  'hangPrimaryDisk',
  'wipe',
  'retireSpare',
  'resetLink',
  'crashClient',
  'pauseClient',
  'reconfigure',
  'handover',
  'twoOperators',
  'leave',
  'killControllerInDrain',
  'crashPrimaryInDrain',
  'crashTargetInDrain',
  'replaceConfig',
  'replaceLeader',
  'twoConfigOperators',
  'crashInConfigChange',
  'wipeConfig',
] as const
/** One of them. */
export type Fault = (typeof FAULTS)[number]

/** Config servers that one run has at the most, those that are gone included. */
const MOST_CONFIGS = 9

/**
 * What breaks things in a run, as stories see it.
 * @internal
 */
export class Nemesis {
  readonly #cluster: Cluster
  #healed = false
  #wipes = 0
  readonly counts = new Map<Fault, number>()

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  start(): void {
    const { kernel, plan } = this.#cluster
    kernel.at(plan.faultsFromMs, () => this.#next())
    kernel.at(plan.healMs, () => this.heal())
    if (plan.zoned) kernel.at(plan.faultsFromMs, () => this.#moveLoadAgainAndAgain())
  }

  /** From now on most load comes from another zone. */
  moveLoad(): void {
    const { workload, random, trace, kernel } = this.#cluster
    const zone = random.pick(ZONES.filter((other) => other !== workload?.busyZone))
    if (trace.enabled) trace.line(kernel.now, 'nemesis', `load comes from ${zone}`)
    if (workload !== undefined) workload.busyZone = zone
  }

  #moveLoadAgainAndAgain(): void {
    if (this.#healed) return
    this.moveLoad()
    const { random, kernel } = this.#cluster
    kernel.after(random.between(1_200, 4_000), () => this.#moveLoadAgainAndAgain())
  }

  #next(): void {
    if (this.#healed) return
    const { random, plan, kernel } = this.#cluster
    this.inject(random.pick(plan.faults))
    kernel.after(random.exponential(plan.faultEveryMs), () => this.#next())
  }

  /** Ends every fault; machines that are gone for ever stay gone. */
  heal(): void {
    const { network, hosts, replicas, configs, trace, kernel } = this.#cluster
    this.#healed = true
    if (trace.enabled) trace.line(kernel.now, 'nemesis', 'heal')
    network.healAll()
    for (const host of [...replicas, ...configs]) {
      host.disk.slowness = 1
      host.disk.release()
    }
    for (const host of hosts) if (!host.retired) host.start()
  }

  inject(fault: Fault): void {
    const { trace, kernel } = this.#cluster
    if (trace.enabled) trace.line(kernel.now, 'nemesis', fault)
    this.counts.set(fault, (this.counts.get(fault) ?? 0) + 1)
    this.#run(fault)
  }

  #run(fault: Fault): void {
    const c = this.#cluster
    const { random, network } = c
    switch (fault) {
      case 'crashReplica':
        return this.crash(random.pick(c.replicas))
      case 'crashPrimary':
        return this.crash(c.primary)
      case 'crashConfig':
        return this.crash(random.pick(c.configs))
      case 'crashLeader':
        return this.crash(c.leader)
      case 'crashPrimaryAndLeader':
        this.crash(c.primary)
        return this.crash(c.leader)
      case 'crashAll':
        for (const host of c.hosts) this.crash(host)
        return
      case 'crashAllReplicas':
        for (const host of c.replicas) this.crash(host)
        return
      case 'killControllerInAttempt':
        return this.#whenInAttempt(() => this.crash(c.leader))
      case 'crashMemberInAttempt':
        return this.#whenInAttempt(() => this.crash(random.pick(c.replicas)))
      case 'pause':
        return random.pick(c.hosts).pause(this.#duration(50, 3_500))
      case 'pausePrimary':
        return c.primary?.pause(this.#duration(200, 4_000))
      case 'partitionOneWay': {
        const [a, b] = random.shuffle(c.names) as [string, string]
        return this.#cut([[a, b]])
      }
      case 'partitionTwoWay': {
        const shuffled = random.shuffle(c.names)
        const size = 1 + random.int(shuffled.length - 1)
        const pairs: [string, string][] = []
        for (const a of shuffled.slice(0, size)) for (const b of shuffled.slice(size)) pairs.push([a, b], [b, a])
        return this.#cut(pairs)
      }
      case 'isolatePrimary':
        return this.#isolate(c.primary)
      case 'isolateLeader':
        return this.#isolate(c.leader)
      case 'loss':
        network.loss = random.pick([0.02, 0.1, 0.4])
        return this.#afterwards(300, 3_000, () => (network.loss = 0))
      case 'duplication':
        network.duplication = random.pick([0.05, 0.3])
        return this.#afterwards(300, 3_000, () => (network.duplication = 0))
      case 'slowNetwork':
        network.slowness = random.pick([4, 20])
        return this.#afterwards(300, 2_500, () => (network.slowness = 1))
      case 'clockRate':
        return random.pick(c.hosts).clock.setRate(c.clockRate())
      case 'wallJump':
        random.pick(c.hosts).clock.wallOffsetMs += random.between(-60_000, 60_000)
        return
      case 'slowDisk': {
        const { disk } = random.pick([...c.replicas, ...c.configs])
        disk.slowness = random.pick([10, 60])
        return this.#afterwards(300, 3_000, () => (disk.slowness = 1))
      }
      case 'hangDisk':
        return this.#hang(random.pick([...c.replicas, ...c.configs]))
      case 'hangPrimaryDisk':
        return this.#hang(c.primary)
      case 'wipe':
        return this.#wipe(random.pick(c.replicas))
      case 'retireSpare':
        return this.#retire()
      case 'resetLink':
        return resetSomeLink(c.hosts, random)
      case 'crashClient':
        return c.workload?.crashSomeClient()
      case 'pauseClient':
        return c.workload?.pauseSomeClient(this.#duration(100, 2_500))
      case 'reconfigure':
        return this.#reconfigure()
      case 'handover':
        return this.handOver()
      case 'twoOperators':
        this.handOver()
        return this.#reconfigure()
      case 'leave':
        if (random.chance(0.3)) return this.leave(random.chance(0.7) ? c.leader : random.pick(c.configs))
        return this.leave(random.chance(0.5) ? c.primary : random.pick(c.replicas))
      case 'killControllerInDrain':
        return this.#whenDraining(() => this.crash(c.leader))
      case 'crashPrimaryInDrain':
        return this.#whenDraining((primary) => this.crash(primary))
      case 'crashTargetInDrain':
        return this.#whenDraining((_, target) => this.crash(target))
      case 'replaceConfig':
        return this.#replaceConfig(this.#someConfig())
      case 'replaceLeader':
        return this.#replaceConfig(c.leader)
      case 'twoConfigOperators':
        this.#replaceConfig(this.#someConfig())
        return this.#replaceConfig(this.#someConfig())
      case 'crashInConfigChange':
        this.#replaceConfig(this.#someConfig())
        c.kernel.after(random.exponential(25), () => this.crash(random.pick([c.leader, ...c.configs])))
        return
      case 'wipeConfig':
        return this.#wipeConfig()
    }
  }

  /** Crashes a host and starts it again after a while. */
  crash(host: Host | undefined): void {
    // What was planned before everything healed does not happen after it: nobody would start the machine again.
    if (host === undefined || !host.alive || this.#healed) return
    host.crash()
    this.#cluster.crashes++
    this.#afterwards(20, 2_500, () => {
      if (!host.retired) host.start()
    })
  }

  /** An operator makes another member the primary. */
  handOver(): void {
    const c = this.#cluster
    const members = c.oracle.registers.newest?.members ?? []
    const others = c.replicas.filter((r) => members.includes(r.id) && r !== c.primary)
    if (others.length > 0) c.requestHandover(c.random.pick(others))
  }

  /** A server ends in order and starts again after a while. */
  leave(host: ReplicaHost | ConfigHost | undefined): void {
    if (host === undefined || !host.alive || this.#healed) return
    host.leave(this.#cluster.random.between(200, 1_500))
    this.#cluster.crashes++
    // Also after everything healed: it may end only then, and nobody else would start it again.
    this.#cluster.kernel.after(this.#duration(1_500, 3_500), () => {
      if (!host.retired) host.start()
    })
  }

  #reconfigure(): void {
    const c = this.#cluster
    c.requestReconfiguration(c.random.shuffle(c.replicas.filter((r) => !r.retired)).slice(0, c.plan.wanted))
  }

  /** Hands over, and acts in the middle of its drain. */
  #whenDraining(act: (primary: ReplicaHost | undefined, target: ReplicaHost | undefined) => void): void {
    const { kernel, random, replicas } = this.#cluster
    const giveUp = kernel.now + 1_500
    this.handOver()
    const look = (): void => {
      if (this.#healed || kernel.now > giveUp) return
      const draining = replicas.filter((r) => r.view?.draining === true)
      if (draining.length === 0) return void kernel.after(0.5, look)
      const { primary } = this.#cluster
      kernel.after(random.exponential(3), () =>
        act(
          primary,
          draining.find((r) => r !== primary),
        ),
      )
    }
    look()
  }

  #duration(low: number, high: number): number {
    const { random } = this.#cluster
    return low + (high - low) * random.next() ** 2
  }

  #afterwards(low: number, high: number, undo: () => void): void {
    this.#cluster.kernel.after(this.#duration(low, high), () => {
      if (!this.#healed) undo()
    })
  }

  #cut(pairs: readonly [string, string][]): void {
    const { network } = this.#cluster
    for (const [a, b] of pairs) network.block(a, b)
    this.#afterwards(200, 4_000, () => {
      for (const [a, b] of pairs) network.unblock(a, b)
    })
  }

  #isolate(host: Host | undefined): void {
    if (host === undefined) return
    const { names, random } = this.#cluster
    const out = random.chance(0.8)
    const back = !out || random.chance(0.7)
    const pairs: [string, string][] = []
    for (const other of names) {
      if (other === host.id) continue
      if (out) pairs.push([host.id, other])
      if (back) pairs.push([other, host.id])
    }
    this.#cut(pairs)
  }

  #hang(host: { readonly disk: { hanging: boolean; release(): void } } | undefined): void {
    if (host === undefined) return
    const { disk } = host
    disk.hanging = true
    this.#afterwards(200, 4_500, () => disk.release())
  }

  /** Waits until the leader is in the middle of an attempt, then acts at a random moment of it. */
  #whenInAttempt(act: () => void): void {
    const { kernel, random } = this.#cluster
    const giveUp = kernel.now + 3_000
    const look = () => {
      if (this.#healed || kernel.now > giveUp) return
      if (this.#cluster.leader?.view?.attempt === undefined) kernel.after(3, look)
      else kernel.after(random.exponential(12), act)
    }
    look()
  }

  /**
   * One disk is lost, if enough members of the active epoch keep theirs for the group to go on by itself; not during a change, whose
   * outcome could make another set of disks the one that counts.
   */
  #wipe(host: ReplicaHost): void {
    const c = this.#cluster
    const chosen = c.oracle.registers.newest
    if (this.#wipes >= 2 || host.retired || chosen === undefined || chosen.epoch === 0) return
    const { epoch, members } = chosen
    const whole = c.replicas.filter(
      (r) => members.includes(r.id) && r !== host && !r.retired && chosen.servers.some((s) => s.storeId === r.storeId),
    )
    const changing = c.replicas.some((r) => r.store.meta.sealedFor > epoch)
    if (changing || (members.includes(host.id) && whole.length < Math.floor(c.plan.wanted / 2) + 1)) return
    this.#wipes++
    host.wipe()
    this.#afterwards(50, 2_000, () => host.start())
  }

  /** One that votes now; a lost store rather than another. */
  #someConfig(): ConfigHost | undefined {
    const { configs, random } = this.#cluster
    const voters = configs.filter((h) => this.#votersOf(h) !== undefined)
    const lost = voters.find((h) => this.#votersOf(h)!.storeId !== h.storeId)
    return lost ?? (voters.length === 0 ? undefined : random.pick(voters))
  }

  #votersOf(host: ConfigHost): ConfigServerEntry | undefined {
    return this.#cluster.oracle.registers.newest?.configServers.find((s) => s.id === host.id)
  }

  /** An operator starts another config server and has it take the place of `old`, which is switched off for ever at some time after that. */
  #replaceConfig(old: ConfigHost | undefined): void {
    const c = this.#cluster
    if (old === undefined || c.configs.length >= MOST_CONFIGS) return
    const next = c.newConfigServer()
    c.requestConfigServers({ add: { id: next.id, address: next.address }, remove: old.id }, () => {
      c.kernel.after(this.#duration(0, 3_000), () => {
        for (const host of [old, next]) if (this.#votersOf(host) === undefined) retire(host)
      })
    })
  }

  /** The disk of a config server is lost, if everybody else that votes keeps its own: a majority remembers. */
  #wipeConfig(): void {
    const c = this.#cluster
    const voters = c.configs.filter((h) => this.#votersOf(h) !== undefined)
    const whole = voters.filter((h) => this.#votersOf(h)!.storeId === h.storeId)
    if (c.configWipes >= 2 || voters.length < 3 || whole.length < voters.length) return
    c.configWipes++
    const host = c.random.pick(voters)
    host.wipe()
    this.#afterwards(20, 2_000, () => host.start())
  }

  /** A server that is not a member dies for ever, as long as `wanted` others are left. */
  #retire(): void {
    const c = this.#cluster
    const members = c.oracle.registers.newest?.members ?? []
    const spare = c.replicas.find((r) => !r.retired && !members.includes(r.id))
    if (spare === undefined || c.replicas.filter((r) => !r.retired).length <= c.plan.wanted) return
    retire(spare)
  }
}

/** Switched off for ever. */
function retire(host: Host): void {
  host.retired = true
  host.crash('switched off')
}
