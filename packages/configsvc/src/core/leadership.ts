// What a config server has only while it leads (PROTOCOL P3–P5): its ballot, the confirm rounds, a proposer and a controller for each group. It is
// made anew with every election and dropped at step-down; nothing of it outlives its ballot.
import { DEFAULT_GROUP } from '@coppice/protocol'
import type {
  Ballot,
  ConfigState,
  ConfigToClient,
  ConnectionId,
  EventName,
  FromConfigServer,
  GroupName,
  Millis,
  NodeId,
  ReplicaToConfig,
  Report,
  Sender,
  StoreId,
} from '@coppice/protocol'
import type { AdminRequest } from './admins.js'
import { CALL_SILENT_MS, MAX_GROUPS } from './bounds.js'
import { ConfigServerChanges } from './config-server-changes.js'
import type { ChangeRequest } from './config-server-changes.js'
import { GroupController } from './controller.js'
import type { ControllerHost } from './controller.js'
import { genesisState } from './formation.js'
import type { Won } from './formation.js'
import type { ConfigOptions } from './io.js'
import { Electorate } from './register/electorate.js'
import { Proposer } from './register/proposer.js'
import { ConfirmRounds } from './rounds.js'

export interface LeadershipHost {
  /** Time of the running step. */
  readonly now: Millis
  readonly options: ConfigOptions
  send(to: NodeId, message: FromConfigServer): void
  reply(connection: ConnectionId, message: ConfigToClient): void
  /** Where a server is to be reached. */
  address(id: NodeId, address: string): void
  event(name: EventName, fields: Readonly<Record<string, unknown>>): void
  /** A value is chosen in this leader's ballot. */
  onChosen(value: ConfigState): void
  /** Answers a report that this leader cannot serve, with what is known to be chosen. */
  answerReport(to: NodeId, report: Report, reason: string): void
}

export class Leadership {
  readonly ballot: Ballot
  readonly electedAt: Millis
  private readonly host: LeadershipHost
  private readonly electorate: Electorate
  private readonly rounds: ConfirmRounds
  private readonly proposerByGroup = new Map<GroupName, Proposer>()
  private readonly controllerByGroup = new Map<GroupName, GroupController>()
  private readonly changes: ConfigServerChanges
  private heartbeatAt: Millis
  /** When servers that are not heard are told who leads. */
  private callAt: Millis

  constructor(host: LeadershipHost, ballot: Ballot, won: Won) {
    this.host = host
    this.ballot = ballot
    this.electedAt = host.now // L4 counts from here
    this.heartbeatAt = host.now
    this.callAt = host.now + CALL_SILENT_MS
    const { options } = host
    if (won.kind === 'adopt') {
      this.electorate = new Electorate(won.values.get(DEFAULT_GROUP)!.configServers)
    } else {
      this.electorate = new Electorate(won.configServers)
    }
    this.rounds = new ConfirmRounds(host.now, this.electorate)
    this.changes = this.makeChanges()
    if (won.kind === 'adopt') {
      for (const value of won.values.values()) this.addProposer(value) // P3: the adopted value unchanged, before anything else
    } else {
      const { newClusterId, wanted, params } = options
      this.addProposer(genesisState(DEFAULT_GROUP, newClusterId, won.configServers, wanted, params))
      host.event('formed', { clusterId: newClusterId, configServers: won.configServers.map((s) => s.id) })
    }
    this.beginRound()
  }

  /** P6: this server was removed, and has told the others. */
  get removed(): boolean {
    return this.changes.removedSelf
  }

  /** P5: no confirmed round for a while; somebody else may lead already. */
  get lostTouch(): boolean {
    return this.host.now - this.rounds.confirmedSince > this.host.options.election.stepDownMs
  }

  get wakeAt(): Millis {
    let at = Math.min(this.heartbeatAt, this.rounds.confirmedSince + this.host.options.election.stepDownMs + 1)
    for (const c of this.controllerByGroup.values()) at = Math.min(at, c.wakeAt)
    return at
  }

  get attempt(): string | undefined {
    for (const [group, c] of this.controllerByGroup) if (c.attempt !== undefined) return `${group}: ${c.attempt}`
    return undefined
  }

  /** What an operator should know, over all groups. */
  get note(): string {
    const unsettled = [...this.proposerByGroup.values()].filter((p) => p.chosen === undefined).map((p) => p.group)
    const notes = [this.changes.note, ...[...this.controllerByGroup.values()].map((c) => c.note)].filter(
      (n) => n !== '',
    )
    if (unsettled.length > 0)
      notes.unshift(`waits for a majority to confirm the configuration of ${unsettled.join(', ')}`)
    return notes.join('; ')
  }

  chosen(group: GroupName): ConfigState | undefined {
    return this.proposerByGroup.get(group)?.chosen
  }

  onTick(): void {
    if (this.host.now >= this.heartbeatAt) {
      this.beginRound()
      if (this.host.now >= this.callAt) {
        this.callAt = this.host.now + CALL_SILENT_MS
        for (const c of this.controllerByGroup.values()) c.callSilent()
      }
      for (const p of this.proposerByGroup.values()) p.repeat(this.changes.busy) // P1: in doubt the same again
    }
    this.changes.advance()
    for (const c of this.controllerByGroup.values()) c.onTick()
  }

  /** There is no other config server. */
  get alone(): boolean {
    return this.electorate.servers.length === 1
  }

  /** P5: the voter heard last that holds all that is chosen is asked to stand at once. Answers whether there is one. */
  handOver(): boolean {
    const { host, electorate, rounds, proposerByGroup } = this
    const proposers = [...proposerByGroup.values()]
    const able = electorate.servers.filter(
      ({ id, storeId }) => id !== host.options.id && proposers.every((p) => p.heldBy(storeId)),
    )
    const heardAt = (storeId: StoreId): Millis => rounds.heardAt(storeId)
    const [next] = able.sort((a, b) => heardAt(b.storeId) - heardAt(a.storeId))
    if (next === undefined || host.now - heardAt(next.storeId) > host.options.election.stepDownMs) return false
    host.send(next.id, { kind: 'stand', ballot: this.ballot })
    host.event('leadHandedOver', { to: next.id })
    return true
  }

  onStall(sleptMs: Millis): void {
    for (const c of this.controllerByGroup.values()) c.onStall(sleptMs)
  }

  /** Whether a sender's Paxos answers count. */
  counts(from: Sender): boolean {
    return this.electorate.counts(from)
  }

  onConfirmed(from: Sender, round: number, missing: readonly GroupName[]): void {
    this.changes.onHeard(from)
    // A store that lost its memory is told what is chosen, too: so it learns that it has no vote.
    if (this.electorate.audience.includes(from.id))
      for (const group of missing) this.proposerByGroup.get(group)?.onMissing(from.id)
    if (this.electorate.notes(from) && this.rounds.onConfirmed(this.host.now, from, round)) this.beginRound()
    this.changes.advance()
  }

  onAccepted(from: Sender, group: GroupName, version: number): void {
    if (!this.electorate.notes(from)) return
    this.proposerByGroup.get(group)?.onAccepted(from, version)
    this.changes.advance()
  }

  onReplica(from: Sender, message: ReplicaToConfig): void {
    const controller = this.controllerByGroup.get(message.group)
    if (message.kind !== 'report') return controller?.onMessage(from, message)
    const { server } = message
    // A report speaks for its sender only.
    if (server.id !== from.id || server.storeId !== from.storeId) return
    const elsewhere = this.groupOfOther(server.id, message.group)
    if (elsewhere !== undefined) {
      return this.host.answerReport(from.id, message, `server id ${server.id} belongs to group ${elsewhere}`)
    }
    if (controller !== undefined) return controller.onMessage(from, message)
    this.maybeAddGroup(message.group)
    this.host.answerReport(from.id, message, 'the group is being set up') // P3: nothing before the recommit
  }

  /** Answers false when the group is not known to a leader that has recommitted. */
  onAdmin(connection: ConnectionId, request: AdminRequest): 'taken' | 'unknownGroup' | 'notYet' {
    const controller = this.controllerByGroup.get(request.group)
    if (controller !== undefined) {
      controller.onAdmin(connection, request)
      return 'taken'
    }
    const settled = this.chosen(DEFAULT_GROUP) !== undefined && !this.proposerByGroup.has(request.group)
    return settled ? 'unknownGroup' : 'notYet'
  }

  /** P6. Answers false when the register is not recommitted yet. */
  onChangeConfigServers(connection: ConnectionId, request: ChangeRequest): boolean {
    if (this.chosen(DEFAULT_GROUP) === undefined) return false
    this.changes.add(connection, request)
    return true
  }

  onClientGone(connection: ConnectionId): void {
    this.changes.onClientGone(connection)
    for (const c of this.controllerByGroup.values()) c.onClientGone(connection)
  }

  stop(leader: NodeId): void {
    this.changes.stop(leader)
    for (const c of this.controllerByGroup.values()) c.stop(leader)
  }

  /** P4, P5: every round is a heartbeat too, and tells followers what is chosen. */
  private beginRound(): void {
    const { now, options } = this.host
    this.heartbeatAt = now + options.election.heartbeatMs
    const round = this.rounds.begin(now)
    const chosen: [GroupName, number][] = []
    for (const p of this.proposerByGroup.values()) if (p.chosen !== undefined) chosen.push([p.group, p.chosen.version])
    for (const id of this.electorate.audience)
      this.host.send(id, { kind: 'confirm', ballot: this.ballot, round, chosen })
  }

  /** The other group in which a server id is registered: ids name servers of the whole cluster. */
  private groupOfOther(id: NodeId, group: GroupName): GroupName | undefined {
    for (const p of this.proposerByGroup.values()) {
      if (p.group !== group && p.chosen?.servers.some((s) => s.id === id) === true) return p.group
    }
    return undefined
  }

  /** A group begins when the first of its replicas reports; its register copies cluster and config servers from `main`. */
  private maybeAddGroup(group: GroupName): void {
    const main = this.chosen(DEFAULT_GROUP)
    if (main === undefined || this.proposerByGroup.has(group) || this.proposerByGroup.size >= MAX_GROUPS) return
    const { wanted, params } = this.host.options
    this.addProposer(genesisState(group, main.clusterId, main.configServers, wanted, params))
  }

  private addProposer(first: ConfigState): void {
    const { host } = this
    const { electorate } = this
    const proposer = new Proposer(this.ballot, first, {
      electorate,
      send: (to, message) => host.send(to, message),
      onProposing: (value) => {
        if (value.group === DEFAULT_GROUP) electorate.follow(value.configServers)
      },
      onChosen: (value) => {
        host.onChosen(value)
        this.maybeAddController(value.group)
      },
    })
    this.proposerByGroup.set(first.group, proposer)
  }

  private makeChanges(): ConfigServerChanges {
    const { host, electorate, rounds, proposerByGroup } = this
    return new ConfigServerChanges({
      get now() {
        return host.now
      },
      options: host.options,
      electorate,
      rounds,
      proposers: proposerByGroup,
      beginRound: () => this.beginRound(),
      address: (id, address) => host.address(id, address),
      reply: (connection, message) => host.reply(connection, message),
      event: (name, fields) => host.event(name, fields),
    })
  }

  /** P3: leases and attempts begin only when the adopted value is chosen again. */
  private maybeAddController(group: GroupName): void {
    if (this.controllerByGroup.has(group)) return
    const { host, ballot, electedAt, rounds } = this
    const proposer = this.proposerByGroup.get(group)!
    const controllerHost: ControllerHost = {
      get now() {
        return host.now
      },
      get chosen() {
        return proposer.chosen!
      },
      id: host.options.id,
      ballot,
      electedAt,
      update: (mutate, done) => proposer.update(mutate, done),
      afterRound: (run) => {
        if (rounds.afterRound(run)) this.beginRound() // P4: a waiting request starts a round at once
      },
      send: (to, message) => host.send(to, message),
      reply: (connection, message) => host.reply(connection, message),
      event: (name, fields) => host.event(name, fields),
    }
    const controller = new GroupController(controllerHost)
    this.controllerByGroup.set(group, controller)
    controller.onTick()
    // Whoever followed the leader before need not find out by itself.
    controller.callSilent()
  }
}
