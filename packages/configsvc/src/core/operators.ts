// The queue of operators' requests to one group: each is taken up once, carried out after the one before it, answered to everybody who
// asked, and remembered in the register under its name.
import type { AdminResult, ConfigState, ConnectionId, NodeId } from '@coppice/protocol'
import { adminProblem, withResult } from './admins.js'
import type { AdminRequest, Asker, PendingAdmin } from './admins.js'
import { MAX_WAITING_ADMINS, OPERATOR_TRIES } from './bounds.js'
import type { ControllerHost } from './controller.js'

export class Operators {
  private readonly host: ControllerHost
  private readonly waiting: PendingAdmin[] = []
  /** Their results are proposed, and not chosen yet. */
  private readonly concluding: PendingAdmin[] = []

  constructor(host: ControllerHost) {
    this.host = host
  }

  /** The request that is carried out next, or is being carried out. */
  get head(): PendingAdmin | undefined {
    return this.waiting[0]
  }

  add(connection: ConnectionId, request: AdminRequest): void {
    const asker = { connection, requestId: request.requestId }
    const { chosen } = this.host
    const done = chosen.adminResults.find((r) => r.requestId === request.adminId)
    if (done !== undefined) return this.answer([asker], done)
    const same = this.unanswered.find((a) => a.adminId === request.adminId)
    if (same !== undefined) {
      same.askers.push(asker)
      return
    }
    const refuse = (message: string): void => {
      this.answer([asker], brief({ requestId: request.adminId, ok: false, message, epoch: chosen.epoch }))
    }
    if (request.adminId === '') return refuse('the request has no name (adminId)')
    const handover = request.handover === true
    const { affinity } = request
    const problem = affinity === undefined ? adminProblem(chosen, request.to) : undefined
    if (problem !== undefined) return refuse(problem)
    if (affinity !== undefined && (handover || request.to.length > 0)) return refuse('affinity is asked for by itself')
    if (handover && request.to.length > 1) return refuse('a hand-over names one server')
    if (this.waiting.length >= MAX_WAITING_ADMINS) return refuse(`${MAX_WAITING_ADMINS} requests are waiting already`)
    this.waiting.push({ adminId: request.adminId, to: request.to, handover, affinity, askers: [asker], overtaken: 0 })
  }

  onClientGone(connection: ConnectionId): void {
    for (const a of this.unanswered) {
      const at = a.askers.findIndex((x) => x.connection === connection)
      if (at >= 0) a.askers.splice(at, 1)
    }
  }

  /** This server leads no longer: whoever waits asks the next leader, under the same name. */
  stop(leader: NodeId): void {
    for (const { askers } of this.unanswered) {
      for (const { connection, requestId } of askers) {
        this.host.reply(connection, { kind: 'adminAnswer', requestId, leader, result: null })
      }
    }
  }

  /** Makes a result part of the register, then answers whoever waits for it; `then` runs last. */
  conclude(whole: AdminResult, then: () => void): void {
    const result = brief(whole)
    const admin = this.take(result.requestId)
    if (admin === undefined) return
    this.concluding.push(admin)
    this.host.update(
      (s) => withResult(result.ok ? asAsked(s, admin) : s, result),
      () => {
        this.concluding.splice(this.concluding.indexOf(admin), 1)
        this.answer(admin.askers, result)
        then()
      },
    )
  }

  /** The activation that was chosen carries the result. */
  concludeFrom(state: ConfigState, adminId: string): void {
    const result = state.adminResults.find((r) => r.requestId === adminId)
    const admin = result === undefined ? undefined : this.take(adminId)
    if (result !== undefined && admin !== undefined) this.answer(admin.askers, result)
  }

  /** A failover that went first does not end a request, unless that happens again and again. Answers whether it waits on. */
  overtaken(adminId: string): boolean {
    const admin = this.waiting.find((a) => a.adminId === adminId)
    return admin !== undefined && ++admin.overtaken < OPERATOR_TRIES
  }

  private get unanswered(): readonly PendingAdmin[] {
    return [...this.concluding, ...this.waiting]
  }

  private take(adminId: string): PendingAdmin | undefined {
    const at = this.waiting.findIndex((a) => a.adminId === adminId)
    return at < 0 ? undefined : this.waiting.splice(at, 1)[0]
  }

  private answer(askers: readonly Asker[], result: AdminResult): void {
    for (const { connection, requestId } of askers) {
      this.host.reply(connection, { kind: 'adminAnswer', requestId, leader: this.host.id, result })
    }
    this.host.event('adminAnswered', { group: this.host.chosen.group, adminId: result.requestId, ok: result.ok })
  }
}

/** The register after a request that needed no epoch. */
function asAsked(s: ConfigState, { to, handover, affinity }: PendingAdmin): ConfigState {
  if (affinity !== undefined)
    return { ...s, params: { ...s.params, affinity: { ...s.params.affinity, mode: affinity } } }
  return handover ? s : { ...s, wanted: to.length }
}

/** As long as the register takes: a value that acceptors cannot read would never be chosen. */
function brief(result: AdminResult): AdminResult {
  return { ...result, message: result.message.slice(0, 2_000) }
}
