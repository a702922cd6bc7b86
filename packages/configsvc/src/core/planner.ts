// What a group needs next (PROTOCOL 2): bootstrap, failover, a change without members that go down, an operator's change, a restore to the wanted number, or a primary nearer to its writers; and what to tell
// the operator when it cannot be done. Pure: the controller carries it out.
import type { AdminResult, ConfigState, Millis, NodeId } from '@coppice/protocol'
import type { PrimaryAffinity } from './affinity.js'
import type { PendingAdmin } from './admins.js'
import { adminProblem } from './admins.js'
import type { AttemptPlan } from './attempt/attempt.js'
import type { Detector } from './detector.js'
import type { Distrust } from './distrust.js'
import {
  bootstrapServers,
  failoverTrigger,
  healthyServers,
  leavers,
  membersWithout,
  minReplicas,
  unwell,
} from './triggers.js'
import type { Trigger } from './triggers.js'

export interface Situation {
  readonly now: Millis
  readonly chosen: ConfigState
  readonly detector: Detector
  readonly distrust: Distrust
  /** Who went down in order and is expected back, and until when. */
  readonly expected: ReadonlyMap<NodeId, Millis>
  readonly leftOut: ReadonlySet<NodeId>
  readonly affinity: PrimaryAffinity
  /** The operator's request at the head of the queue. */
  readonly admin: PendingAdmin | undefined
  /** Since when there are enough members again, after there were too few. */
  readonly enoughSince: Millis | undefined
}

export interface Planned {
  readonly plan: AttemptPlan | undefined
  /** The operator's request ends without an attempt. */
  readonly answer: AdminResult | undefined
  readonly note: string
  /** The group cannot go on by itself. */
  readonly tooFew: boolean
  readonly troubled: readonly NodeId[]
  /** Since when the chosen epoch can commit nothing; undefined: it can. */
  readonly stoppedAt: Millis | undefined
  /** Ask again then, even if nothing happens. */
  readonly waitUntil: Millis | undefined
}

const NOTHING: Planned = {
  plan: undefined,
  answer: undefined,
  note: '',
  tooFew: false,
  troubled: [],
  stoppedAt: undefined,
  waitUntil: undefined,
}

export function nextPlan(at: Situation): Planned {
  const { chosen } = at
  if (chosen.epoch === 0) return at.admin === undefined ? bootstrap(at) : operator(at, at.admin, false)
  const trigger = failoverTrigger(chosen, at.detector, at.now)
  if (trigger !== undefined) {
    const planned = { ...failover(at, trigger), stoppedAt: trigger.stoppedAt }
    // Where the group cannot help itself, the operator may.
    if (planned.tooFew && at.admin !== undefined)
      return { ...operator(at, at.admin, false), note: planned.note, tooFew: true, stoppedAt: trigger.stoppedAt }
    return planned
  }
  const leave = leaving(at)
  if (leave !== undefined) return leave
  if (at.admin !== undefined) return operator(at, at.admin, true)
  const restored = chosen.members.length < chosen.wanted ? restore(at) : NOTHING
  return restored.plan === undefined ? { ...restored, plan: followWriters(at) } : restored
}

/** P7: by itself, once `wanted` servers have registered. */
function bootstrap(at: Situation): Planned {
  const { wanted, group } = at.chosen
  const servers = trusted(at, bootstrapServers(at.chosen, at.detector, at.now))
  if (servers.length < wanted) {
    const known = servers.length === 0 ? 'none yet' : `${servers.length} so far (${servers.join(', ')})`
    return { ...NOTHING, note: `group ${group} waits for ${wanted} servers to register: ${known}` }
  }
  // Servers that start together register within moments: give the others one report's time, so that chance does not choose.
  const firsts = servers.map((id) => at.detector.firstReportAt(id)).sort((a, b) => a - b)
  const waitUntil = firsts[wanted - 1]! + at.chosen.params.renewMs
  if (at.now < waitUntil) return { ...NOTHING, waitUntil }
  const next = servers.slice(0, wanted)
  const detail = `${wanted} servers registered`
  return planOf({ cause: 'bootstrap', detail, next, least: wanted, planned: false, wanted })
}

/** Members of prev only, and no copy is waited for. */
function failover(at: Situation, trigger: Trigger): Planned {
  const { chosen, detector, now } = at
  const least = Math.min(minReplicas(chosen), chosen.members.length)
  const able = chosen.members.filter((id) => !trigger.condemned.has(id) && detector.heard(id))
  const next = able.length - countOf(able, at.leftOut) >= least ? able.filter((id) => !at.leftOut.has(id)) : able
  // Not heard since this leader was elected, but not known dead either: it may be on its way back with all it has.
  const unheard = chosen.members.filter((id) => !trigger.condemned.has(id) && !detector.heard(id))
  if (unheard.length > 0) {
    const waitUntil = Math.min(...unheard.map((id) => detector.silentAt(id)))
    const note = `group ${chosen.group} waits to hear from ${unheard.join(', ')}: ${trigger.detail}`
    return { ...NOTHING, note, waitUntil }
  }
  if (next.length < least) return { ...NOTHING, tooFew: true, note: tooFewNote(chosen, next, least, trigger) }
  // After there were too few, those that return one by one get a moment to return together.
  const waitUntil = at.enoughSince === undefined ? undefined : at.enoughSince + chosen.params.failMs / 2
  if (waitUntil !== undefined && now < waitUntil && next.length < chosen.members.length)
    return { ...NOTHING, waitUntil }
  // The old primary first if it can be; else the member that has most.
  const primary = next.includes(chosen.members[0]!) ? chosen.members[0]! : mostAdvanced(next, detector)
  const order = [primary, ...next.filter((id) => id !== primary)]
  const { detail, troubled } = trigger
  return {
    ...planOf({ cause: 'failover', detail, next: order, least, planned: false, wanted: chosen.wanted }),
    troubled,
  }
}

/** Spares and returning servers join by a second, prepared attempt. */
function restore(at: Situation): Planned {
  const { chosen } = at
  const { members, wanted, group } = chosen
  const healthy = healthyServers(chosen, at.detector, at.now).filter((id) => !members.includes(id))
  // The places of those that are expected back are kept for them.
  const away = [...at.expected].filter(([id]) => !members.includes(id) && !healthy.includes(id))
  const joining = trusted(at, healthy).slice(0, Math.max(wanted - members.length - away.length, 0))
  if (joining.length === 0 && away.length > 0) {
    const note = `group ${group} has ${members.length} of ${wanted} members and waits for ${away.map(([id]) => id).join(', ')} to come back`
    return { ...NOTHING, note, waitUntil: Math.min(...away.map(([, until]) => until)) }
  }
  if (joining.length === 0) {
    const later = healthy.map((id) => at.distrust.until(id)).filter((until) => until > at.now)
    const note = `group ${group} has ${members.length} of ${wanted} members and no healthy server to add; start one more replica`
    return { ...NOTHING, note, waitUntil: later.length > 0 ? Math.min(...later) : undefined }
  }
  const next = [...members, ...joining]
  const detail = `${joining.join(', ')} ${joining.length === 1 ? 'joins' : 'join'}`
  return planOf({ cause: 'restore', detail, next, least: next.length, planned: true, wanted })
}

/** Members whose processes are about to end: the group goes on without them before they are silent. They come back by a restore. */
function leaving(at: Situation): Planned | undefined {
  const { chosen, detector, now } = at
  const gone = leavers(chosen, detector, now)
  const next = membersWithout(chosen, detector, now, gone)
  if (gone.length === 0 || next === undefined) return undefined
  const detail = `${gone.join(', ')} ${gone.length === 1 ? 'goes' : 'go'} down`
  return planOf({ cause: 'leave', detail, next, least: next.length, planned: true, wanted: chosen.wanted })
}

/** Of all changes the last: nothing is wrong, it only saves writers a way. */
function followWriters({ now, chosen, affinity, detector }: Situation): AttemptPlan | undefined {
  const favoured = affinity.favoured(now, chosen, detector)
  const next = favoured === undefined ? undefined : handedTo(chosen, favoured.to)
  if (favoured === undefined || next === undefined) return undefined
  const { detail } = favoured
  return { cause: 'affinity', detail, next, least: next.length, planned: true, wanted: chosen.wanted }
}

function operator(at: Situation, admin: PendingAdmin, running: boolean): Planned {
  const { chosen } = at
  const to = admin.handover ? handedTo(chosen, admin.to[0]!) : admin.to
  const answer = (ok: boolean, message: string): Planned => {
    return { ...NOTHING, answer: { requestId: admin.adminId, ok, message, epoch: chosen.epoch } }
  }
  if (admin.affinity !== undefined) return answer(true, `affinity of group ${chosen.group} is ${admin.affinity}`)
  const problem = adminProblem(chosen, admin.to)
  if (problem !== undefined) return answer(false, problem)
  if (to === undefined)
    return answer(
      false,
      `server ${admin.to[0]} is not a member of group ${chosen.group} (${chosen.members.join(', ')})`,
    )
  if (running && to.join() === chosen.members.join())
    return answer(true, `epoch ${chosen.epoch} has ${admin.handover ? 'this primary' : 'these members'} already`)
  // A leader that was just elected has not heard from everybody yet.
  const unheard = to.filter((id) => !at.detector.heard(id) && !at.detector.silent(at.now, id))
  if (unheard.length > 0) return { ...NOTHING, waitUntil: Math.min(...unheard.map((id) => at.detector.silentAt(id))) }
  for (const id of to) {
    const why = unwell(at.detector, at.now, id)
    if (why !== undefined) return answer(false, `server ${id} ${why}, so it cannot become a member`)
  }
  return planOf({
    cause: 'operator',
    detail: admin.handover ? `hand over to ${to[0]}` : `reconfigure to ${to.join(', ')}`,
    next: to,
    least: to.length,
    planned: running,
    wanted: admin.handover ? chosen.wanted : to.length,
    adminId: admin.adminId,
  })
}

/** The same members with `id` as primary; undefined when it is none of them. */
function handedTo(chosen: ConfigState, id: NodeId): readonly NodeId[] | undefined {
  return chosen.members.includes(id) ? [id, ...chosen.members.filter((other) => other !== id)] : undefined
}

function planOf(plan: AttemptPlan): Planned {
  return { ...NOTHING, plan }
}

function trusted(at: Situation, ids: readonly NodeId[]): NodeId[] {
  return ids.filter((id) => at.now >= at.distrust.until(id))
}

function mostAdvanced(ids: readonly NodeId[], detector: Detector): NodeId {
  const place = (id: NodeId): [number, number] => {
    const report = detector.report(id)
    return [report?.epoch ?? -1, report?.nextIndex ?? -1]
  }
  return ids.reduce((best, id) => {
    const [a, b] = [place(best), place(id)]
    return b[0] > a[0] || (b[0] === a[0] && b[1] > a[1]) ? id : best
  })
}

function countOf(ids: readonly NodeId[], set: ReadonlySet<NodeId>): number {
  return ids.filter((id) => set.has(id)).length
}

function tooFewNote(chosen: ConfigState, able: readonly NodeId[], least: number, trigger: Trigger): string {
  const gone = chosen.members.filter((id) => !able.includes(id))
  const have =
    able.length === 0 ? 'no member is well' : `only ${able.join(', ')} ${able.length === 1 ? 'is' : 'are'} well`
  return (
    `group ${chosen.group} is stopped: ${have}, ${least} of its members are needed (${trigger.detail}). ` +
    `Start ${gone.join(', ')} again; or go on with what is there: coppice reconfigure --to ${able.join(',') || 'ID,…'}`
  )
}
