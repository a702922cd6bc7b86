// SEAL (PROTOCOL 2.3): the members of prev freeze their logs. One answer is enough for safety, because every committed operation is durable
// at every member; the others are waited for a little, so that the source is the one that has most.
import type { ConfigState, Epoch, Index, NodeId, ReplicaToConfig } from '@coppice/protocol'
import { lastOf } from '@coppice/protocol'
import { REPEAT_MS } from '../bounds.js'
import { abandoned, repeatUntil } from './attempt.js'
import type { AttemptEnv, AttemptResult, Step } from './attempt.js'

export type SealReply = Extract<ReplicaToConfig, { kind: 'sealReply' }>

export interface Sealed {
  readonly kind: 'sealed'
  readonly source: NodeId
  readonly answer: SealReply
  /** Sealed members whose logs end where the source's ends, the source first: each can ship [base, start). */
  readonly shippers: readonly { readonly id: NodeId; readonly base: Index }[]
  /** Members that answered and may be part of the next epoch, best first. */
  readonly fit: readonly NodeId[]
  /** Members that answered with amnesia or lost data. */
  readonly unfit: readonly NodeId[]
}

/**
 * What the drained primary's answer alone says (PROTOCOL 2.3: one answer is enough): nobody else proposes in prev and all it proposed is
 * committed, so no member has more, and who has less is shipped it. Undefined: it is not fit to be the source, so the others are asked.
 */
export function sealedByDrain(env: AttemptEnv, prev: ConfigState, answer: SealReply): Sealed | undefined {
  const source = prev.members[0]!
  if (answer.cut !== undefined) env.detector.mayCut(answer.cut.epoch, source, answer.cut.at)
  if (answer.commitIndex !== answer.nextIndex) return undefined
  if (ranked(env, prev, new Map([[source, answer]])).length === 0) return undefined
  const shippers = [{ id: source, base: answer.base }]
  return { kind: 'sealed', source, answer, shippers, fit: [source], unfit: [] }
}

/** `next`: members aimed at. Those of prev among them must enter anyway, so they are waited for longer than the others. */
export function* seal(
  env: AttemptEnv,
  prev: ConfigState,
  r: Epoch,
  next: readonly NodeId[],
): Step<Sealed | (AttemptResult & { kind: 'abandoned' })> {
  const begun = env.now
  const answers = new Map<NodeId, SealReply>()
  const overAt = begun + prev.params.sealWaitMs
  const nextOverAt = begun + prev.params.failMs / 2
  const giveUpAt = begun + 2 * prev.params.failMs
  let overtakenBy: string | undefined
  yield* repeatUntil(env, {
    everyMs: REPEAT_MS,
    pending: () =>
      prev.members
        .filter((id) => answers.get(id)?.ok !== true)
        .map((id) => [id, { kind: 'seal', group: prev.group, epoch: r, prev: prev.epoch }] as const),
    onMessage: (from, message) => {
      if (message.kind !== 'sealReply' || message.epoch !== r || !prev.members.includes(from)) return
      if (!message.ok && message.sealedFor > r) overtakenBy = from
      if (message.cut !== undefined) env.detector.mayCut(message.cut.epoch, from, message.cut.at)
      if (answers.get(from)?.ok !== true) answers.set(from, message)
    },
    finished: () => {
      if (overtakenBy !== undefined || env.now >= giveUpAt) return true
      // PROTOCOL 2.3: every member not known dead is waited for, at most sealWaitMs; one of the next epoch longer, because a source
      // chosen without its answer could make it cut its log and rebuild its state.
      const waited = prev.members.every((id) => {
        const untilAt = next.includes(id) ? nextOverAt : overAt
        return answers.get(id)?.ok === true || env.detector.silent(env.now, id) || env.now >= untilAt
      })
      return waited && ranked(env, prev, answers).length > 0
    },
    wakeAt: () => (env.now < overAt ? overAt : env.now < nextOverAt ? nextOverAt : giveUpAt),
  })
  // Another attempt got further than this one: its number is higher, so ours cannot end well.
  if (overtakenBy !== undefined) return abandoned(`${overtakenBy} is sealed for a later epoch already`)
  const fit = ranked(env, prev, answers)
  const unfit = [...answers.keys()].filter((id) => !fit.includes(id))
  for (const id of unfit) if (hasLost(prev, answers.get(id)!)) env.lostData(id)
  const source = fit[0]
  if (source === undefined) {
    const said = [...answers].map(([id, a]) => `${id}: ${a.ok ? 'has lost data' : a.reason}`)
    return abandoned(`no member of epoch ${prev.epoch} could be sealed (${said.join('; ') || 'no answer'})`)
  }
  const answer = answers.get(source)!
  const shippers = fit
    .filter((id) => order(answers.get(id)!, answer) === 0)
    .map((id) => ({ id, base: answers.get(id)!.base }))
  return { kind: 'sealed', source, answer, shippers, fit, unfit }
}

/** An answer that is no mere refusal of the moment: taken, but not fit; or its durable epoch is below prev. */
function hasLost(prev: ConfigState, answer: SealReply): boolean {
  return answer.ok || answer.ownEpoch < prev.epoch
}

/** Members that may be a source, the greatest (last epoch, next) first; members of prev keep their order among equals. */
function ranked(env: AttemptEnv, prev: ConfigState, answers: ReadonlyMap<NodeId, SealReply>): NodeId[] {
  const committed = Math.max(0, ...[...answers.values()].filter((a) => a.ok).map((a) => a.commitIndex))
  const fit = prev.members.filter((id) => {
    const a = answers.get(id)
    if (a === undefined || !a.ok) return false // a refusal is never a source
    if (a.ownEpoch < prev.epoch) return false // amnesia is never a source
    if (a.nextIndex < committed) return false // it has lost what another member knows to be committed
    if (a.nextIndex < env.detector.leastNext(prev.epoch, id)) return false // it has lost what was reported in this epoch
    return true
  })
  return fit.sort((x, y) => order(answers.get(y)!, answers.get(x)!)) // the greatest (last epoch, next) first
}

function order(a: SealReply, b: SealReply): number {
  return lastOf(a.lineage)[0] - lastOf(b.lineage)[0] || a.nextIndex - b.nextIndex
}
