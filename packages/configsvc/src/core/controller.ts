// The controller of one group, alive while its server leads (PROTOCOL 2): it watches the members, decides when a new epoch is needed, and
// runs one attempt at a time. Everything in it is volatile; a new leader begins from the register and from what the members report.
import { configurationOf, unreachable } from '@coppice/protocol'
import type {
  AdminResult,
  Ballot,
  ConfigState,
  ConfigToClient,
  ConfigToReplica,
  ConnectionId,
  EventName,
  Millis,
  NodeId,
  ReplicaToConfig,
  Report,
  Sender,
} from '@coppice/protocol'
import { Absentees } from './absentees.js'
import type { AdminRequest } from './admins.js'
import { PrimaryAffinity } from './affinity.js'
import type {
  AttemptEnv,
  AttemptInput,
  AttemptPlan,
  AttemptResult,
  AttemptWait,
  Stage,
  Step,
} from './attempt/attempt.js'
import { reconfigure } from './attempt/reconfigure.js'
import { RETRY_MAX_MS, RETRY_MIN_MS } from './bounds.js'
import { Detector } from './detector.js'
import { Distrust } from './distrust.js'
import { Leases } from './leases.js'
import { MeasuredLines } from './measured-lines.js'
import { Operators } from './operators.js'
import { Pauses } from './pauses.js'
import type { MeasuredPauses } from './pauses.js'
import { nextPlan } from './planner.js'
import type { Planned } from './planner.js'
import type { Done, Mutate } from './register/proposer.js'
import { register, registrationOf } from './registration.js'
import { cannotDoWithout, failoverTrigger, leavers, membersWithout } from './triggers.js'

export interface ControllerHost {
  /** Time of the running step. */
  readonly now: Millis
  readonly id: NodeId
  readonly ballot: Ballot
  readonly electedAt: Millis
  /** Newest chosen value of the group, recommitted by this leader (P3). */
  readonly chosen: ConfigState
  update(mutate: Mutate, done: Done): void
  /** P4: runs `run` after a confirm round that began after this call. */
  afterRound(run: () => void): void
  send(to: NodeId, message: ConfigToReplica): void
  reply(connection: ConnectionId, message: ConfigToClient): void
  event(name: EventName, fields: Readonly<Record<string, unknown>>): void
}

interface Running {
  readonly plan: AttemptPlan
  /** Members of the epoch before. */
  readonly members: readonly NodeId[]
  readonly steps: Step<AttemptResult>
  readonly begunAt: Millis
  stage: Stage
  /** What the attempt waits for; undefined while a proposal of its own is in flight. */
  until: Millis | undefined
}

export class GroupController {
  readonly leases: Leases
  readonly detector: Detector
  /** What an operator should know about this group; '' when all is well. */
  note = ''
  private readonly host: ControllerHost
  private readonly pauses = new Pauses()
  private readonly measured = new MeasuredLines()
  private readonly distrust = new Distrust()
  private readonly absentees = new Absentees()
  private readonly operators: Operators
  private readonly affinity: PrimaryAffinity
  private running: Running | undefined
  /** Members left out of failovers since the last activation. */
  private readonly leftOut = new Set<NodeId>()
  private retryAt: Millis = 0
  private failures = 0
  private tooFewSince: Millis | undefined
  private enoughSince: Millis | undefined
  private planAgainAt: Millis = Infinity
  private readonly registering = new Set<NodeId>()

  constructor(host: ControllerHost) {
    this.host = host
    this.operators = new Operators(host)
    this.affinity = new PrimaryAffinity(host.now, host.chosen)
    this.leases = new Leases(host.electedAt)
    this.detector = new Detector(host.now, host.chosen.params.failMs)
  }

  get wakeAt(): Millis {
    if (this.running !== undefined) return this.running.until ?? Infinity
    const { now, chosen } = this.host
    const deaths = chosen.members.map((id) => this.detector.silentAt(id)).filter((at) => at > now)
    return Math.min(this.planAgainAt, this.measured.dueAt, this.retryAt > now ? this.retryAt : Infinity, ...deaths)
  }

  get attempt(): string | undefined {
    const r = this.running
    return r === undefined ? undefined : `${r.plan.cause} ${r.stage}: ${r.plan.next.join(', ')} (${r.plan.detail})`
  }

  onTick(): void {
    const until = this.running?.until
    if (until !== undefined && this.host.now >= until) this.resume({ kind: 'time' })
    this.maybeBegin()
    if (this.running === undefined && this.measured.isDue(this.host.now)) this.update((s) => s)
  }

  /** PROTOCOL 2: after its own stall the detector counts anew. */
  onStall(sleptMs: Millis): void {
    if (sleptMs > this.host.chosen.params.failMs / 4) this.detector.countAnew(this.host.now)
  }

  /** P6: a server that is not heard may know only config servers that are gone; it is told who leads. */
  callSilent(): void {
    for (const { id } of this.host.chosen.servers)
      if (!this.detector.alive(this.host.now, id)) this.sayAnswer(id, '', 'it was not heard')
  }

  onMessage(from: Sender, message: ReplicaToConfig): void {
    if (message.kind === 'report') return this.onReport(from, message)
    const entry = this.host.chosen.servers.find((s) => s.id === from.id)
    // Only the registered store speaks for its id; another one under the same id knows nothing of what was asked.
    if (entry?.storeId !== from.storeId) return
    this.detector.onHeard(this.host.now, from.id)
    if (this.running !== undefined && this.running.until !== undefined)
      this.resume({ kind: 'message', from: from.id, message })
    this.maybeBegin()
  }

  onAdmin(connection: ConnectionId, request: AdminRequest): void {
    this.operators.add(connection, request)
    this.maybeBegin()
  }

  onClientGone(connection: ConnectionId): void {
    this.operators.onClientGone(connection)
  }

  stop(leader: NodeId): void {
    this.operators.stop(leader)
  }

  /** Registration, heartbeat and lease request in one. */
  private onReport(from: Sender, report: Report): void {
    const { now, chosen } = this.host
    const registration = registrationOf(chosen, report, this.running !== undefined)
    switch (registration.kind) {
      case 'refused':
        // A stranger under a known name is told why, and counts for nothing.
        return this.sayAnswer(from.id, report.nonce, registration.reason)
      case 'register':
        this.register(from, registration.entry)
        if (chosen.servers.find((s) => s.id === from.id)?.storeId !== from.storeId) {
          return this.sayAnswer(from.id, report.nonce, 'being registered')
        }
        break
      case 'known':
        break
      default:
        unreachable(registration)
    }
    this.detector.onReport(now, report, chosen)
    this.affinity.onReport(now, report, chosen)
    this.maybeMeasured(report)
    this.leaseRequest(from, report)
    this.maybeBegin()
    if (report.leaving === true) this.maybeLetGo(from.id)
  }

  /** L2: granted only after a round that began after the request arrived, and only if it is still right then. */
  private leaseRequest(from: Sender, report: Report): void {
    const { nonce, epoch, group } = report
    const refusal = nonce === '' ? 'no lease asked' : this.leases.refusal(this.host.chosen, from, epoch)
    if (refusal !== undefined) return this.sayAnswer(from.id, nonce, refusal)
    const grant = (): void => {
      const { chosen, now } = this.host
      const late = this.leases.refusal(chosen, from, epoch)
      if (late !== undefined) return this.sayAnswer(from.id, nonce, late)
      this.leases.granted(now, from.id)
      this.pauses.granted(now, epoch)
      this.host.send(from.id, { kind: 'grant', group, epoch, nonce, configuration: configurationOf(chosen) })
    }
    this.host.afterRound(grant) // L2: a confirm round begun after the request arrived
  }

  /** A server that goes down need not wait when the group runs without it, or cannot. */
  private maybeLetGo(id: NodeId): void {
    const { chosen, now } = this.host
    const gone = leavers(chosen, this.detector, now)
    const cannot = this.running === undefined && cannotDoWithout(chosen, this.detector, now, gone)
    if (!chosen.members.includes(id) || cannot) this.host.send(id, { kind: 'mayLeave', group: chosen.group })
  }

  /** The new primary admits: what its epoch cost becomes part of its line. */
  private maybeMeasured({ server, epoch, leading }: Report): void {
    const { now, chosen } = this.host
    if (!leading || epoch !== chosen.epoch || server.id !== chosen.members[0]) return
    const pauses = this.pauses.leads(now, epoch)
    if (pauses !== undefined) this.measured.add(now, pauses)
  }

  /** A new value, with what epochs cost that is not written yet. */
  private update(mutate: Mutate, done: Done = () => {}): void {
    const { host, measured } = this
    let written: readonly MeasuredPauses[] = []
    host.update(
      (s) => {
        const next = mutate(s)
        if (next === undefined) return undefined
        const whole = measured.write(next)
        written = whole.written
        return whole.value
      },
      (value) => {
        for (const pauses of written) host.event('epochMeasured', { group: host.chosen.group, ...pauses })
        done(value)
      },
    )
  }

  private sayAnswer(to: NodeId, nonce: string, reason: string): void {
    const { chosen, id } = this.host
    const configuration = configurationOf(chosen)
    this.host.send(to, { kind: 'answer', group: chosen.group, nonce, reason, leader: id, configuration })
  }

  private register(from: Sender, entry: Report['server']): void {
    if (this.registering.has(from.id)) return
    this.registering.add(from.id)
    const before = this.host.chosen.servers.find((s) => s.id === from.id)
    const mayChangeStore = (): boolean =>
      this.running === undefined || before === undefined || before.storeId === entry.storeId
    this.host.update(
      (s) => (mayChangeStore() ? register(s, entry) : undefined),
      (chosen) => {
        this.registering.delete(from.id)
        if (chosen === undefined) return
        if (before !== undefined && before.storeId !== entry.storeId) this.detector.forget(from.id)
        this.host.event('serverRegistered', { group: chosen.group, id: entry.id, address: entry.address })
      },
    )
  }

  // ---- attempts

  /** Begins an attempt if one is needed and possible. */
  private maybeBegin(): void {
    const { now, chosen } = this.host
    if (this.running !== undefined || now < this.retryAt) return
    this.planAgainAt = Infinity
    const planned = nextPlan({
      now,
      chosen,
      detector: this.detector,
      distrust: this.distrust,
      expected: this.absentees.expected(now),
      leftOut: this.leftOut,
      affinity: this.affinity,
      admin: this.operators.head,
      enoughSince: this.enoughSince,
    })
    this.note = planned.note
    this.noteTooFew(planned)
    if (planned.waitUntil !== undefined) this.planAgainAt = planned.waitUntil
    if (planned.answer !== undefined) {
      // That the primary shall be who it is, is a choice, too.
      if (planned.answer.ok && this.operators.head?.affinity === undefined) this.affinity.operatorChose(now, chosen)
      return this.conclude(planned.answer)
    }
    this.pauses.trouble(planned.stoppedAt)
    if (planned.plan !== undefined) this.begin(planned.plan, planned.troubled)
  }

  private noteTooFew(planned: Planned): void {
    if (planned.tooFew) {
      if (this.tooFewSince === undefined)
        this.host.event('tooFewServers', { group: this.host.chosen.group, note: planned.note })
      this.tooFewSince ??= this.host.now
      this.enoughSince = undefined
      // Whoever was left out may be all there is.
      this.leftOut.clear()
    } else if (this.tooFewSince !== undefined) {
      this.enoughSince ??= this.host.now
    }
  }

  private begin(plan: AttemptPlan, troubled: readonly NodeId[]): void {
    const { now, chosen } = this.host
    for (const id of troubled) {
      this.distrust.add(now, id)
      this.host.event('memberSuspected', { group: chosen.group, id, why: plan.detail })
    }
    if (plan.cause === 'affinity') this.affinity.begun(now, chosen)
    this.host.event('attemptBegun', { group: chosen.group, cause: plan.cause, detail: plan.detail, next: plan.next })
    const steps = reconfigure(this.env(), plan, chosen.epoch)
    this.running = { plan, members: chosen.members, steps, begunAt: now, stage: 'reserve', until: undefined }
    this.advance(steps.next())
  }

  private resume(input: AttemptInput): void {
    if (this.running !== undefined) this.advance(this.running.steps.next(input))
  }

  private advance(result: IteratorResult<AttemptWait, AttemptResult>): void {
    const running = this.running!
    if (result.done === true) return this.finish(running, result.value)
    const wait = result.value
    if (wait.kind === 'input') {
      running.until = wait.until
      return
    }
    running.until = undefined
    this.update(wait.mutate, (value) => this.resume({ kind: 'chosen', value }))
  }

  private finish(running: Running, result: AttemptResult): void {
    const { now, chosen } = this.host
    const { plan } = running
    this.running = undefined
    this.leases.closed = false
    if (result.kind === 'activated') {
      const { group, epoch, members, start } = result.state
      this.affinity.activated(now, result.state)
      this.failures = 0
      this.retryAt = 0
      this.leftOut.clear()
      this.tooFewSince = undefined
      this.enoughSince = undefined
      for (const id of members) this.detector.markWhole(id)
      if (plan.cause === 'leave')
        for (const id of running.members) if (!members.includes(id)) this.absentees.add(now, id)
      const tookMs = now - running.begunAt
      this.host.event('attemptActivated', { group, epoch, members, start, cause: plan.cause, tookMs })
      if (plan.adminId !== undefined) this.operators.concludeFrom(result.state, plan.adminId)
      return this.maybeBegin()
    }
    this.host.event('attemptAbandoned', {
      group: chosen.group,
      cause: plan.cause,
      reason: result.reason,
      failed: result.failed,
    })
    for (const id of result.failed) {
      if (chosen.members.includes(id)) this.leftOut.add(id)
      // A member left out of a failover may join again as soon as it can; one that failed to join may not at once.
      if (plan.cause !== 'failover') this.distrust.add(now, id)
    }
    if (plan.adminId !== undefined) this.operatorFailed(plan.adminId, result)
    // A failover that only leaves a member out goes on at once; what fails again and again is tried ever more slowly.
    this.failures++
    const again = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(this.failures, 10))
    this.retryAt = now + (this.failures === 1 || result.overtaken ? 0 : again)
    this.maybeBegin()
  }

  private operatorFailed(adminId: string, result: AttemptResult & { kind: 'abandoned' }): void {
    if (result.overtaken && this.operators.overtaken(adminId)) return
    this.conclude({ requestId: adminId, ok: false, message: result.reason, epoch: this.host.chosen.epoch })
  }

  private conclude(result: AdminResult): void {
    this.operators.conclude(result, () => this.maybeBegin())
  }

  private env(): AttemptEnv {
    const { host, detector, leases, pauses } = this
    const before = leavers(host.chosen, detector, host.now)
    // A failover goes first, and so does a member that goes down: it will not wait for long.
    const interrupted = (): string | undefined =>
      failoverTrigger(host.chosen, detector, host.now)?.detail ?? leftMeanwhile()
    const leftMeanwhile = (): string | undefined => {
      const gone = leavers(host.chosen, detector, host.now)
      const news = gone.filter((id) => !before.includes(id))
      if (news.length === 0 || membersWithout(host.chosen, detector, host.now, gone) === undefined) return undefined
      return `${news.join(', ')} ${news.length === 1 ? 'goes' : 'go'} down`
    }
    const stage = (name: Stage, fields: Readonly<Record<string, unknown>>): void => {
      if (this.running !== undefined) this.running.stage = name
      host.event('attemptStep', { group: host.chosen.group, step: name, ...fields })
    }
    const lostData = (id: NodeId): void => {
      detector.markLost(id)
      host.event('dataLossSuspected', { group: host.chosen.group, id })
    }
    return {
      get now() {
        return host.now
      },
      ballot: host.ballot,
      detector,
      leases,
      pauses,
      interrupted,
      lostData,
      stage,
      send: (to, message) => host.send(to, message),
    }
  }
}
