// When a group needs a new epoch, and which members it can have (PROTOCOL 2, triggers). Pure judgement over the chosen value and what
// the detector knows; the controller acts on it.
import { FREE_DISK_WATERMARK_BYTES, GENESIS_NEXT } from '@coppice/protocol'
import type { ConfigState, Millis, NodeId } from '@coppice/protocol'
import type { Detector } from './detector.js'

export interface Trigger {
  /** Plain words, for the history of epochs. */
  readonly detail: string
  /** Members that may not be part of the next epoch. */
  readonly condemned: ReadonlySet<NodeId>
  /** Members that fsync or acks condemned while they still talk: not to be trusted again at once. */
  readonly troubled: readonly NodeId[]
  /** Since when nothing can have been committed, as far as this leader can tell: a member was heard last, or an operation waits. */
  readonly stoppedAt: Millis
}

/** Fewest members an automatic change may leave. */
export function minReplicas(s: ConfigState): number {
  return s.params.minReplicas ?? Math.floor(s.wanted / 2) + 1
}

/** Why the chosen epoch cannot go on as it is, or undefined. Asked while no attempt runs, or while one only prepares. */
export function failoverTrigger(s: ConfigState, detector: Detector, now: Millis): Trigger | undefined {
  const condemned = new Set<NodeId>()
  const troubled = new Set<NodeId>()
  const reasons: string[] = []
  let stoppedAt = now
  const condemn = (id: NodeId, why: string): void => {
    if (!condemned.has(id)) reasons.push(`${id} ${why}`)
    condemned.add(id)
  }
  for (const id of s.members) {
    if (detector.silent(now, id)) {
      condemn(id, `is silent for ${s.params.failMs} ms`)
      stoppedAt = Math.min(stoppedAt, detector.silentAt(id) - s.params.failMs)
    } else if (detector.lostData(now, id)) condemn(id, 'has lost data')
  }
  for (const id of s.members) {
    for (const [blamed, why] of blame(s, detector, now, id, condemned)) {
      condemn(blamed, why)
      troubled.add(blamed)
      stoppedAt = Math.min(stoppedAt, now - detector.freshReport(now, id)!.trouble!.sinceMs)
    }
  }
  for (const id of s.members) {
    const report = detector.report(id)
    if (report === undefined || condemned.has(id)) continue
    // Marks of an attempt that never was activated: its controller died, or gave up.
    if (report.epoch > s.epoch) reasons.push(`${id} has entered epoch ${report.epoch}`)
    else if (report.sealedFor > s.epoch) reasons.push(`${id} is sealed for epoch ${report.sealedFor}`)
    // PROTOCOL 2.7: a restarted primary never proposes again in its epoch.
    else if (id === s.members[0] && report.cannotLead && report.epoch === s.epoch)
      reasons.push(`${id} restarted as primary`)
  }
  if (reasons.length === 0) return undefined
  return { detail: reasons.join('; '), condemned, troubled: [...troubled], stoppedAt }
}

/** Whom a member's report of a stuck fsync or of missing acks condemns. */
function blame(
  s: ConfigState,
  detector: Detector,
  now: Millis,
  reporter: NodeId,
  condemned: ReadonlySet<NodeId>,
): [NodeId, string][] {
  const report = detector.freshReport(now, reporter)
  const trouble = report?.trouble
  if (report === undefined || trouble === undefined || condemned.has(reporter)) return []
  // Trouble of an older epoch, or younger than T_fail, may pass by itself.
  if (report.epoch !== s.epoch || trouble.sinceMs < s.params.failMs) return []
  // One that promised a later epoch cannot acknowledge in this one: a reason for a new epoch, not against the member.
  const promised = (id: NodeId): boolean => {
    const own = detector.report(id)
    return own !== undefined && (own.epoch > s.epoch || own.sealedFor > s.epoch)
  }
  const waitingFor = trouble.waitingFor.filter(
    (id) => s.members.includes(id) && !condemned.has(id) && (trouble.kind === 'fsync' || !promised(id)),
  )
  const left = s.members.length - condemned.size - waitingFor.length
  // One that waits for too many others is more likely cut off itself.
  if (left < minReplicas(s) && !waitingFor.includes(reporter) && waitingFor.length > 1) {
    return [[reporter, `waits for ${waitingFor.join(', ')} for ${Math.round(trouble.sinceMs)} ms`]]
  }
  const why = trouble.kind === 'fsync' ? 'has a stuck fsync' : 'withholds acknowledgements'
  return waitingFor.map((id) => [id, `${why} for ${Math.round(trouble.sinceMs)} ms`])
}

/** Members that said lately that their processes are about to end. */
export function leavers(s: ConfigState, detector: Detector, now: Millis): NodeId[] {
  return s.members.filter((id) => detector.freshReport(now, id)?.leaving === true)
}

/** The members that stay without `gone`, the primary first if it stays; undefined when the group may not, or cannot, go on with them. */
export function membersWithout(
  s: ConfigState,
  detector: Detector,
  now: Millis,
  gone: readonly NodeId[],
): readonly NodeId[] | undefined {
  const stay = s.members.filter((id) => !gone.includes(id))
  if (stay.length === 0 || stay.length < minReplicas(s)) return undefined
  return stay.every((id) => unwell(detector, now, id) === undefined) ? stay : undefined
}

/**
 * Whether the group surely cannot go on without `gone`: too few would stay, or one that stays is not well. One that a new leader has not
 * heard from yet may be well: it has its time to say so.
 */
export function cannotDoWithout(s: ConfigState, detector: Detector, now: Millis, gone: readonly NodeId[]): boolean {
  const stay = s.members.filter((id) => !gone.includes(id))
  if (stay.length === 0 || stay.length < minReplicas(s)) return true
  const mayBeWell = (id: NodeId): boolean => detector.report(id) === undefined && !detector.silent(now, id)
  return stay.some((id) => unwell(detector, now, id) !== undefined && !mayBeWell(id))
}

/** Registered servers that are well: heard, with disk space, without trouble of their own. In the order in which they are preferred. */
export function healthyServers(s: ConfigState, detector: Detector, now: Millis): NodeId[] {
  const healthy = s.servers.map((e) => e.id).filter((id) => unwell(detector, now, id) === undefined)
  // Who has most of the log needs least of it; a former member comes before an empty spare.
  return healthy.sort((a, b) => {
    const [x, y] = [detector.report(a)!, detector.report(b)!]
    return y.epoch - x.epoch || y.nextIndex - x.nextIndex || (a < b ? -1 : 1)
  })
}

/** Why a server may not become a member now, or undefined. */
export function unwell(detector: Detector, now: Millis, id: NodeId): string | undefined {
  if (!detector.alive(now, id)) return 'is not answering'
  const report = detector.report(id)
  if (report === undefined) return 'has not reported yet'
  if (report.leaving === true) return 'is going down'
  if (report.freeDiskBytes < FREE_DISK_WATERMARK_BYTES) return `has only ${report.freeDiskBytes} bytes of disk left`
  if (report.trouble?.kind === 'fsync' && report.trouble.waitingFor.includes(id)) return 'has a stuck fsync'
  return undefined
}

/** P7: servers of which epoch 1 may consist: empty stores with one machine, in the order of their names. */
export function bootstrapServers(s: ConfigState, detector: Detector, now: Millis): NodeId[] {
  const empty = healthyServers(s, detector, now)
    .filter((id) => detector.report(id)!.nextIndex === GENESIS_NEXT)
    .sort()
  const digest = empty.length === 0 ? '' : detector.report(empty[0]!)!.digest
  return empty.filter((id) => detector.report(id)!.digest === digest)
}
