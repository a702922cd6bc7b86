// DRAIN (PROTOCOL 2, planned changes): whoever will be primary holds what clerks send it, then the primary of prev admits no more, commits what
// is in flight and is sealed by that, so that ENTER ships nothing. Learners follow meanwhile. It is bounded, and nothing rests on it: SEAL
// ends an epoch that was not drained.
import type { ConfigState, ConfigToReplica, Epoch, Millis, NodeId } from '@coppice/protocol'
import { REPEAT_MS } from '../bounds.js'
import { abandoned, entryOf, repeatUntil } from './attempt.js'
import type { AttemptEnv, AttemptPlan, AttemptResult, Step } from './attempt.js'
import type { SealReply } from './seal.js'

/** Part of T_fail for which the target is waited for, and for which the primary is. */
const TARGET_PART = 1 / 8
const DRAIN_PART = 1 / 2

/** Writes are stopped, or about to be, since then. */
export interface Drained {
  readonly kind: 'drained'
  readonly since: Millis
  /** The primary's answer: it is sealed where all is committed. Undefined: it was not drained in time, or may not lead. */
  readonly sealed: SealReply | undefined
}

export function* drain(
  env: AttemptEnv,
  plan: AttemptPlan,
  prev: ConfigState,
  r: Epoch,
  tag: string,
): Step<Drained | (AttemptResult & { kind: 'abandoned' })> {
  const primary = prev.members[0]!
  const target = plan.next[0]!
  env.stage('drain', { epoch: r, primary, target })
  const { group } = prev
  const members = plan.next.map((id) => entryOf(prev, id))
  const message: ConfigToReplica = { kind: 'drain', group, epoch: r, prev: prev.epoch, members }
  const learn: ConfigToReplica = {
    kind: 'learn',
    group,
    attempt: tag,
    epoch: prev.epoch,
    // It alone knows at once what is committed.
    source: entryOf(prev, primary),
  }
  const learners = plan.next.filter((id) => !prev.members.includes(id))
  const drained = new Set<NodeId>()
  let sealed: SealReply | undefined
  let interrupted: string | undefined
  const until = (whom: readonly NodeId[], waitedFor: NodeId, overAt: Millis): Step<void> => {
    const begunAt = env.now
    return repeatUntil(env, {
      everyMs: REPEAT_MS,
      pending: () => {
        // Said again to those that are drained, too: it is what keeps the drain up.
        const unsaid = whom.filter((id) => env.now > begunAt || !drained.has(id))
        return [...unsaid.map((id) => [id, message] as const), ...learners.map((id) => [id, learn] as const)]
      },
      onMessage: (from, reply) => {
        if (reply.kind === 'drained' && reply.epoch === r) drained.add(from)
        if (reply.kind !== 'sealReply' || reply.epoch !== r || from !== primary || !reply.ok) return
        drained.add(from)
        sealed = reply
      },
      finished: () => {
        interrupted = env.interrupted()
        return interrupted !== undefined || drained.has(waitedFor) || env.now >= overAt
      },
      wakeAt: () => overAt,
    })
  }
  if (target !== primary) yield* until([target], target, env.now + prev.params.failMs * TARGET_PART)
  const since = env.now
  if (interrupted === undefined)
    yield* until(target === primary ? [primary] : [target, primary], primary, since + prev.params.failMs * DRAIN_PART)
  if (interrupted !== undefined) {
    resume(env, plan, prev, r)
    return abandoned(interrupted, [], true)
  }
  // What was committed last; it travels while the members are sealed.
  for (const id of learners) env.send(id, learn)
  return { kind: 'drained', since, sealed }
}

/** The attempt is given up: those that wait for its epoch need not wait until they notice by themselves. */
export function resume(env: AttemptEnv, plan: AttemptPlan, prev: ConfigState, r: Epoch): void {
  const waiting = new Set([plan.next[0]!, prev.members[0]!])
  for (const id of waiting) env.send(id, { kind: 'resume', group: prev.group, epoch: r })
}
