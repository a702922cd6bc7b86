// Election of the config leader (PROTOCOL P2, P5): pre-vote, then promises for one ballot, with randomised timeouts. The acceptor side
// of an election is acceptor.ts; what a leader does is leadership.ts.
import { assert } from '@coppice/protocol'
import type { Ballot, ConfigToConfig, ElectionParams, Millis, NodeId, Sender, Standing } from '@coppice/protocol'
import { MAX_TIMEOUT_FACTOR } from './bounds.js'
import { sameBallot } from './ballot.js'
import { isVoter, majorityOf, tally } from './formation.js'
import type { Promised, Voters, Won } from './formation.js'
import type { FsyncMeter } from './fsync-meter.js'
import type { SeededRandom } from './random.js'

export interface ElectionHost {
  readonly self: Sender
  readonly peers: readonly { readonly id: NodeId; readonly address: string }[]
  readonly params: ElectionParams
  readonly random: SeededRandom
  readonly fsyncs: FsyncMeter
  /** Highest ballot this server's own acceptor promised. */
  readonly promised: Ballot
  readonly voters: Voters
  /** The newest value of `main` this server accepted, for those that missed it. */
  readonly standing: Standing
  /** Voters by the newer of the own value and a candidate's. */
  votersBy(standing: Standing): Voters
  /** Its process is about to end: it leads no more. */
  readonly leaving: boolean
  /** Without a vote nobody stands: asks what is chosen instead. */
  askChosen(): void
  send(to: NodeId, message: ConfigToConfig): void
  /** Lets the own acceptor promise `ballot`; `then` runs when that is durable. */
  promiseOwn(ballot: Ballot, then: (promised: Promised) => void): void
  onElected(ballot: Ballot, won: Won): void
}

type Role =
  | { readonly kind: 'follower' }
  | { readonly kind: 'preCandidate'; readonly round: number; readonly granted: Set<NodeId> }
  | {
      readonly kind: 'candidate'
      readonly ballot: Ballot
      readonly promises: Map<NodeId, Promised>
      /** Who is asked for a promise: grows when a promise tells of newer config servers. */
      readonly asked: Set<NodeId>
      repeatAt: Millis
    }
  | { readonly kind: 'leader'; readonly ballot: Ballot }

export class Election {
  private role: Role = { kind: 'follower' }
  /** When this server stands (again) unless it hears a leader. */
  private deadline: Millis
  /** Who led when last heard, and when that was. */
  private heardLeader: { readonly id: NodeId; readonly at: Millis } | undefined
  /** Highest round seen anywhere; the next candidacy goes above it. */
  private highestRound = 0
  private readonly host: ElectionHost

  constructor(host: ElectionHost, now: Millis) {
    this.host = host
    // A first election need not wait long: who hears a leader refuses the pre-vote.
    this.deadline = now + host.random.between(host.params.heartbeatMs, host.params.timeoutMs)
  }

  get isLeader(): boolean {
    return this.role.kind === 'leader'
  }

  get wakeAt(): Millis {
    if (this.role.kind === 'leader') return Infinity
    return this.role.kind === 'candidate' ? Math.min(this.role.repeatAt, this.deadline) : this.deadline
  }

  /** Who leads, as far as this server knows; '' if it has not heard a leader lately. */
  leaderHint(now: Millis): NodeId {
    if (this.role.kind === 'leader') return this.host.self.id
    if (this.heardLeader === undefined || now - this.heardLeader.at > 2 * this.host.params.stepDownMs) return ''
    return this.heardLeader.id
  }

  onTick(now: Millis): void {
    if (this.role.kind === 'leader') return
    if (now >= this.deadline) return this.stand(now)
    if (this.role.kind === 'candidate' && now >= this.role.repeatAt) this.sayPrepare(now)
  }

  /** A message of a leader whose ballot this server's acceptor did not refuse. */
  onLeader(now: Millis, id: NodeId): void {
    this.heardLeader = { id, at: now }
    if (id === this.host.self.id) return
    this.follow(now)
  }

  /** Somebody says who leads: known to clients and replicas as a hint, no reason to wait. */
  onHint(now: Millis, id: NodeId): void {
    this.heardLeader = { id, at: now }
  }

  /** This server's acceptor promised somebody else's ballot: give that candidate its time. */
  onPromisedOther(now: Millis): void {
    this.follow(now)
  }

  /** A ballot above ours exists somewhere. */
  onRefused(now: Millis, ballot: Ballot, promised: Ballot): void {
    this.highestRound = Math.max(this.highestRound, promised.round)
    if (this.role.kind === 'candidate' && sameBallot(this.role.ballot, ballot)) this.follow(now)
  }

  /** This leader gave up. `soon`: nobody else is known to lead, and it may stand again at once with a higher ballot. */
  stepDown(now: Millis, soon: boolean): void {
    this.role = { kind: 'follower' }
    const { heartbeatMs } = this.host.params
    this.deadline = now + (soon ? this.host.random.between(heartbeatMs / 2, heartbeatMs) : this.timeout())
  }

  /** P5: the leader goes away and asks for it. No pre-vote, for there is nobody to be disturbed; an election like any other. */
  standAtOnce(now: Millis): void {
    if (this.role.kind !== 'leader' && isVoter(this.host.voters, this.host.self)) this.campaign(now)
  }

  onPreVote(now: Millis, from: Sender, round: number, standing: Standing): void {
    this.host.send(from.id, { kind: 'preVoteReply', round, granted: this.wouldVote(now, from, standing) })
  }

  onPreVoteReply(now: Millis, from: Sender, round: number, granted: boolean): void {
    if (this.role.kind !== 'preCandidate' || this.role.round !== round) return
    // A store that is not the recorded one has amnesia; its opinion does not count.
    if (!granted || !isVoter(this.host.voters, from)) return
    this.role.granted.add(from.id)
    if (this.role.granted.size >= majorityOf(this.host.voters)) this.campaign(now)
  }

  onPromise(now: Millis, from: NodeId, ballot: Ballot, promised: Promised): void {
    if (this.role.kind !== 'candidate' || !sameBallot(this.role.ballot, ballot)) return
    this.role.promises.set(from, promised)
    const won = tally(this.role.promises, this.host.peers, this.host.self)
    if (won.kind === 'noVote') return this.follow(now)
    if (won.kind === 'waiting') return this.askMore(now, won.voters)
    this.role = { kind: 'leader', ballot }
    this.deadline = now
    this.host.onElected(ballot, won)
  }

  private wouldVote(now: Millis, from: Sender, standing: Standing): boolean {
    if (this.role.kind === 'leader') return false
    // A wiped store, or a server that was removed, must not disturb the others.
    if (!isVoter(this.host.votersBy(standing), from)) return false
    // P5: while a leader is heard nobody needs another; the leader itself may ask after it stepped down.
    const heard = this.heardLeader
    return heard === undefined || heard.id === from.id || now - heard.at >= this.host.params.timeoutMs
  }

  private follow(now: Millis): void {
    assert(this.role.kind !== 'leader', 'a leader steps down before it follows')
    this.role = { kind: 'follower' }
    this.deadline = now + this.timeout()
  }

  /** P5: asks whether an election could succeed, before disturbing anybody with a higher ballot. */
  private stand(now: Millis): void {
    this.deadline = now + this.timeout()
    if (this.host.leaving) return
    // Removed, not added yet, or the own store is not the one the cluster recorded: that one has lost its memory and never votes again
    // under this id.
    if (!isVoter(this.host.voters, this.host.self)) {
      this.role = { kind: 'follower' }
      return this.host.askChosen()
    }
    const round = Math.max(this.highestRound, this.host.promised.round) + 1
    this.role = { kind: 'preCandidate', round, granted: new Set([this.host.self.id]) }
    if (majorityOf(this.host.voters) === 1) return this.campaign(now)
    for (const { id } of this.host.voters.servers) {
      if (id !== this.host.self.id) this.host.send(id, { kind: 'preVote', round, standing: this.host.standing })
    }
  }

  private campaign(now: Millis): void {
    const round = Math.max(this.highestRound, this.host.promised.round) + 1
    const ballot = { round, node: this.host.self.id }
    const asked = new Set(this.host.voters.servers.map((s) => s.id))
    this.role = { kind: 'candidate', ballot, promises: new Map(), asked, repeatAt: Infinity }
    this.deadline = now + this.timeout()
    // The own promise is durable before anybody hears of the ballot, so that no later incarnation uses it again.
    this.host.promiseOwn(ballot, (promised) => {
      if (this.role.kind !== 'candidate' || !sameBallot(this.role.ballot, ballot)) return
      this.sayPrepare(now)
      this.onPromise(now, this.host.self.id, ballot, promised)
    })
  }

  private sayPrepare(now: Millis): void {
    if (this.role.kind !== 'candidate') return
    this.role.repeatAt = now + this.host.params.heartbeatMs
    const { asked, promises, ballot } = this.role
    for (const id of asked) {
      if (id !== this.host.self.id && !promises.has(id)) {
        this.host.send(id, { kind: 'prepare', ballot, standing: this.host.standing })
      }
    }
  }

  /** P6: a promise may tell of config servers that were added meanwhile. */
  private askMore(now: Millis, voters: Voters): void {
    if (this.role.kind !== 'candidate') return
    const { asked } = this.role
    const more = voters.servers.filter((s) => !asked.has(s.id))
    for (const s of more) asked.add(s.id)
    if (more.length > 0) this.sayPrepare(now)
  }

  /** P5: uniform in [timeout, 2 × timeout), stretched on a slow disk. */
  private timeout(): Millis {
    const base = this.host.params.timeoutMs
    const slow = Math.min(10 * this.host.fsyncs.worstMs, MAX_TIMEOUT_FACTOR * base)
    const least = Math.max(base, slow)
    return this.host.random.between(least, 2 * least)
  }
}
