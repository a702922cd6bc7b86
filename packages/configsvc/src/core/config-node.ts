// A config server's core (PROTOCOL 1–3): acceptor, election and, while it leads, leadership. `step` takes one input and gives what is to be
// done; what this server says to itself is handled within the same step.
import { DEFAULT_GROUP, assert, configurationOf, unreachable } from '@coppice/protocol'
import type {
  Accepted,
  Ballot,
  ClientToConfig,
  ConfigState,
  ConfigToConfig,
  ConnectionId,
  Core,
  EventName,
  FromConfigServer,
  GroupName,
  Millis,
  NodeId,
  Report,
  Sender,
  Standing,
  ToConfigServer,
} from '@coppice/protocol'
import { Acceptor } from './acceptor.js'
import type { AcceptorAnswer } from './acceptor.js'
import { sameBallot } from './ballot.js'
import { answerClient } from './clients.js'
import { DurableWrites } from './durable-writes.js'
import { Election } from './election.js'
import { isVoter, newerVoters, standingOf, votersOf } from './formation.js'
import type { Voters } from './formation.js'
import { FsyncMeter } from './fsync-meter.js'
import type { ConfigEffect, ConfigInput, ConfigOptions, RecoveredRegister } from './io.js'
import { Leadership } from './leadership.js'
import { Learned } from './learned.js'
import { Leaving } from './leaving.js'
import type { LeadershipHost } from './leadership.js'
import { SeededRandom } from './random.js'
import type { ConfigView } from './view.js'

/**
 * The core of a config server: register, election, leases, failure detector and reconfigurations of all groups (PROTOCOL 1–3). Pure.
 */
export class ConfigNode implements Core<ConfigInput, ConfigEffect> {
  wakeAt: Millis
  readonly view: ConfigView
  private readonly options: ConfigOptions
  private readonly self: Sender
  private readonly acceptor: Acceptor
  private readonly election: Election
  private leadership: Leadership | undefined
  private readonly learned = new Learned()
  private readonly leaving = new Leaving()
  private readonly effects: ConfigEffect[] = []
  /** What this server said to itself in this step. */
  private readonly toSelf: ConfigToConfig[] = []
  private readonly fsyncs = new FsyncMeter()
  private readonly writes = new DurableWrites(
    (token, writes) => this.effects.push({ kind: 'write', token, writes }),
    this.fsyncs,
  )
  private readonly addressById = new Map<NodeId, string>()
  private started = false
  private now: Millis
  private readonly leadershipHost: LeadershipHost

  constructor(options: ConfigOptions, recovered: RecoveredRegister, now: Millis) {
    this.options = options
    this.now = now
    this.self = { id: options.id, storeId: recovered.storeId }
    this.acceptor = new Acceptor(recovered)
    this.election = this.makeElection(now)
    this.leadershipHost = this.makeLeadershipHost()
    this.wakeAt = now
    this.view = this.makeView()
  }

  step(now: Millis, input: ConfigInput): readonly ConfigEffect[] {
    this.effects.length = 0
    const lateMs = now - this.wakeAt
    this.now = now
    if (!this.started) this.start()
    // Before anything that arrived during a stall is looked at: it may be old, and we may lead no longer.
    const stalledMs = Math.max(lateMs, input.kind === 'slept' ? input.sleptMs : 0)
    if (stalledMs > 0) this.leadership?.onStall(stalledMs)
    if (this.leadership?.lostTouch === true) this.stepDown('no confirmed round', false) // P5
    this.take(input)
    for (let said = this.toSelf.shift(); said !== undefined; said = this.toSelf.shift()) this.onMessage(this.self, said)
    if (this.leadership?.removed === true) {
      this.leadership.handOver()
      this.stepDown('removed from the config servers', false) // P6
    }
    const left = this.leaving.settle(now, this.leadership, this.writes.busy, this.options.election.heartbeatMs)
    if (left !== undefined) this.effects.push({ kind: 'left', reason: left })
    this.wakeAt = Math.min(this.election.wakeAt, this.leadership?.wakeAt ?? Infinity)
    return this.effects
  }

  private take(input: ConfigInput): void {
    switch (input.kind) {
      case 'tick':
        this.election.onTick(this.now)
        this.leadership?.onTick()
        return
      case 'message':
        return this.onMessage(input.from, input.message)
      case 'client':
        return this.onClient(input.connection, input.message)
      case 'clientGone':
        return this.leadership?.onClientGone(input.connection)
      case 'written':
        return this.writes.onWritten(this.now, input.token)
      case 'slept':
        return
      case 'leave':
        return this.leaving.begin(this.now)
      default:
        unreachable(input)
    }
  }

  private onMessage(from: Sender, message: ToConfigServer): void {
    switch (message.kind) {
      case 'preVote':
        return this.onPreVote(from, message.round, message.standing)
      case 'preVoteReply':
        return this.election.onPreVoteReply(this.now, from, message.round, message.granted)
      case 'prepare':
        return this.onPrepare(from, message.ballot, message.standing)
      case 'promise': {
        const { ballot, address, accepted } = message
        for (const { value } of accepted) for (const s of value.configServers) this.noteNewAddress(s.id, s.address)
        return this.election.onPromise(this.now, from.id, ballot, { storeId: from.storeId, address, accepted })
      }
      case 'propose': {
        if (message.ballot.node !== from.id || message.version !== message.value.version) return
        const answer = this.acceptor.onPropose(message.ballot, message.version, message.value)
        if (answer !== undefined) this.answerLeader(from, message.ballot, answer)
        return
      }
      case 'confirm': {
        if (message.ballot.node !== from.id) return
        const answer = this.acceptor.onConfirm(message.ballot, message.round, message.chosen)
        for (const value of answer.learned) this.onLearned(value)
        return this.answerLeader(from, message.ballot, answer)
      }
      case 'accepted':
        if (this.isOurs(message.ballot)) this.leadership?.onAccepted(from, message.group, message.version)
        return
      case 'confirmed':
        if (this.isOurs(message.ballot)) this.leadership?.onConfirmed(from, message.round, message.missing)
        return
      case 'stand':
        // The leader followed last, and only while it is that: a late copy is no reason to disturb the next one.
        if (
          message.ballot.node === from.id &&
          sameBallot(message.ballot, this.acceptor.promised) &&
          !this.leaving.begun
        )
          this.election.standAtOnce(this.now)
        return
      case 'askChosen':
        return this.tell(from.id, this.learned.answer(message.known, this.election.leaderHint(this.now)))
      case 'chosen':
        return this.onTold(from, message.leader, message.values)
      case 'ballotRefused':
        return this.onBallotRefused(from, message.ballot, message.promised)
      case 'report':
        this.noteNewAddress(message.server.id, message.server.address)
        if (this.leadership === undefined)
          return this.answerReport(from.id, message, 'this config server does not lead')
        return this.leadership.onReplica(from, message)
      case 'sealReply':
      case 'learnReply':
      case 'enterReply':
      case 'relinquished':
      case 'drained':
        return this.leadership?.onReplica(from, message)
      default:
        unreachable(message)
    }
  }

  // ---- acceptor

  private onPreVote(from: Sender, round: number, standing: Standing): void {
    for (const s of standing?.configServers ?? []) this.noteNewAddress(s.id, s.address)
    this.election.onPreVote(this.now, from, round, standing)
    // P6: who does not know yet that it has no vote learns it.
    if (!isVoter(this.votersBy(standing), from))
      this.tell(from.id, this.learned.refusal(this.election.leaderHint(this.now)))
  }

  private onPrepare(from: Sender, ballot: Ballot, standing: Standing): void {
    // A wiped store, a server that was removed, or a stranger, may not take the lead away from those that remember.
    if (ballot.node !== from.id || !isVoter(this.votersBy(standing), from)) return
    const answer = this.acceptor.onPrepare(ballot, this.options.address)
    if (answer.reply.kind === 'promise') {
      if (this.leadership !== undefined) this.stepDown(`${from.id} stands with a higher ballot`, false)
      this.election.onPromisedOther(this.now)
    }
    this.writes.after(this.now, answer.writes, () => this.send(from.id, answer.reply))
  }

  private answerLeader(from: Sender, ballot: Ballot, answer: AcceptorAnswer): void {
    if (answer.reply.kind !== 'ballotRefused') {
      if (this.leadership !== undefined && !this.isOurs(ballot))
        this.stepDown(`${from.id} leads with a higher ballot`, false)
      this.election.onLeader(this.now, from.id)
    }
    this.writes.after(this.now, answer.writes, () => this.send(from.id, answer.reply))
  }

  private onBallotRefused(from: Sender, ballot: Ballot, promised: Ballot): void {
    // Of the voters alone: what a stranger promised stands in nobody's way.
    if (!(this.leadership?.counts(from) ?? isVoter(this.voters, from))) return
    this.election.onRefused(this.now, ballot, promised)
    // An acceptor that promised more will never confirm our rounds: lead it with a higher ballot, or follow.
    if (this.isOurs(ballot)) this.stepDown(`${from.id} promised a higher ballot`, true)
  }

  // ---- election and leadership

  private get accepted(): Accepted | undefined {
    return this.acceptor.acceptedByGroup.get(DEFAULT_GROUP)
  }

  /** By the newest value of `main` this server accepted, or by a newer one that it was told is chosen. */
  private get voters(): Voters {
    const accepted = this.accepted?.value
    const told = this.learned.main
    const newest = told !== undefined && told.version > (accepted?.version ?? 0) ? told : accepted
    return votersOf(newest, this.options.peers)
  }

  private votersBy(standing: Standing): Voters {
    return newerVoters(this.voters, this.accepted, standing)
  }

  private isOurs(ballot: Ballot): boolean {
    const ours = this.leadership?.ballot
    return ours !== undefined && ours.round === ballot.round && ours.node === ballot.node
  }

  private stepDown(why: string, soon: boolean): void {
    const { leadership } = this
    if (leadership === undefined) return
    this.leadership = undefined
    this.election.stepDown(this.now, soon)
    leadership.stop(this.election.leaderHint(this.now))
    this.event('steppedDown', { ballot: leadership.ballot, why })
  }

  private onLearned(value: ConfigState): void {
    if (!this.learned.learn(value)) return
    for (const s of [...value.configServers, ...value.servers]) this.noteAddress(s.id, s.address)
  }

  private askChosen(): void {
    const question = this.learned.question()
    const ids = [...this.voters.servers, ...this.options.peers].map((s) => s.id)
    for (const id of new Set(ids)) if (id !== this.self.id) this.send(id, question)
  }

  private tell(to: NodeId, answer: ConfigToConfig | undefined): void {
    if (answer !== undefined) this.send(to, answer)
  }

  private onTold(from: Sender, leader: NodeId, values: readonly ConfigState[]): void {
    // A leader has chosen what there is.
    if (this.leadership !== undefined) return
    for (const value of this.learned.ofCluster(values, this.view.clusterId)) this.onLearned(value)
    // From a voter alone, which heard it itself: servers without a vote could keep a dead leader's name alive among themselves.
    if (leader !== '' && !isVoter(this.voters, this.self) && isVoter(this.voters, from))
      this.election.onHint(this.now, leader)
  }

  // ---- replicas and clients

  private answerReport(to: NodeId, report: Report, reason: string): void {
    const state = this.learned.of(report.group)
    const configuration = state === undefined ? null : configurationOf(state)
    const leader = this.election.leaderHint(this.now)
    this.send(to, { kind: 'answer', group: report.group, nonce: report.nonce, reason, leader, configuration })
  }

  private onClient(connection: ConnectionId, message: ClientToConfig): void {
    const { now, options, voters, leadership } = this
    const { storeId } = this.self
    const leader = this.election.leaderHint(this.now)
    const learned = (group: GroupName): ConfigState | undefined => this.learned.of(group)
    const answer = answerClient({ now, options, storeId, voters, leadership, leader, learned }, connection, message)
    if (answer !== undefined) this.effects.push({ kind: 'reply', connection, message: answer })
  }

  // ---- effects

  private start(): void {
    this.started = true
    for (const p of this.options.peers) this.noteAddress(p.id, p.address)
    for (const { value } of this.acceptor.acceptedByGroup.values()) {
      for (const s of [...value.configServers, ...value.servers]) this.noteAddress(s.id, s.address)
    }
  }

  private send(to: NodeId, message: FromConfigServer): void {
    if (to === this.self.id) this.toSelf.push(message as ConfigToConfig)
    else this.effects.push({ kind: 'send', to, message })
  }

  private event(name: EventName, fields: Readonly<Record<string, unknown>>): void {
    this.effects.push({ kind: 'event', name, fields })
  }

  private noteAddress(id: NodeId, address: string): void {
    if (id === this.self.id || this.addressById.get(id) === address) return
    this.addressById.set(id, address)
    this.effects.push({ kind: 'address', id, address })
  }

  /** Only for an id nobody registered: a stranger under a known name must not turn its traffic away. */
  private noteNewAddress(id: NodeId, address: string): void {
    if (!this.addressById.has(id)) this.noteAddress(id, address)
  }

  // ---- parts

  private makeElection(now: Millis): Election {
    const node = this
    return new Election(
      {
        self: this.self,
        peers: this.options.peers,
        params: this.options.election,
        random: new SeededRandom(this.options.seed),
        fsyncs: this.fsyncs,
        get promised() {
          return node.acceptor.promised
        },
        get leaving() {
          return node.leaving.begun
        },
        get voters() {
          return node.voters
        },
        get standing() {
          return standingOf(node.accepted)
        },
        votersBy: (standing) => this.votersBy(standing),
        askChosen: () => this.askChosen(),
        send: (to, message) => this.send(to, message),
        promiseOwn: (ballot, then) => {
          const { writes, reply } = this.acceptor.onPrepare(ballot, this.options.address)
          assert(reply.kind === 'promise', 'a candidate stands above its own promise')
          const { address, accepted } = reply
          this.writes.after(this.now, writes, () => then({ storeId: this.self.storeId, address, accepted }))
        },
        onElected: (ballot, won) => {
          this.event('leaderElected', { ballot })
          this.leadership = new Leadership(this.leadershipHost, ballot, won)
        },
      },
      now,
    )
  }

  private makeLeadershipHost(): LeadershipHost {
    const node = this
    return {
      get now() {
        return node.now
      },
      options: this.options,
      send: (to, message) => this.send(to, message),
      reply: (connection, message) => this.effects.push({ kind: 'reply', connection, message }),
      address: (id, address) => this.noteAddress(id, address),
      event: (name, fields) => this.event(name, fields),
      onChosen: (value) => this.onLearned(value),
      answerReport: (to, report, reason) => this.answerReport(to, report, reason),
    }
  }

  private makeView(): ConfigView {
    const node = this
    return {
      get isLeader() {
        return node.leadership !== undefined
      },
      get ballot() {
        return node.leadership?.ballot
      },
      get promised() {
        return node.acceptor.promised
      },
      get clusterId() {
        return (node.accepted?.value ?? node.learned.main)?.clusterId ?? ''
      },
      get groups() {
        return node.learned.groups
      },
      get attempt() {
        return node.leadership?.attempt
      },
      chosen: (group) => node.learned.of(group),
      accepted: (group) => node.acceptor.acceptedByGroup.get(group),
    }
  }
}
