// ENTER (PROTOCOL 2.4): every target brings its log to exactly `start`, makes the new epoch durable and acknowledges. All must; a target
// that cannot, or would need long in a failover, is named so that the next attempt leaves it out.
import type { ConfigToReplica, Epoch, Millis, NodeId, Params, ReplicaToConfig } from '@coppice/protocol'
import { INSTALL_PATIENCE_MS, LARGEST_RECORD_MS, REPEAT_MS } from '../bounds.js'
import { abandoned, repeatUntil } from './attempt.js'
import type { AttemptEnv, AttemptResult, Step } from './attempt.js'

export type EnterReply = Extract<ReplicaToConfig, { kind: 'enterReply' }>
export type EnterMessage = Extract<ConfigToReplica, { kind: 'enter' }>

export interface Entered {
  readonly kind: 'entered'
  readonly replies: ReadonlyMap<NodeId, EnterReply>
  /** From the first ENTER to the ack of each. */
  readonly tookMs: ReadonlyMap<NodeId, Millis>
  /** Who relinquished meanwhile. */
  readonly released: ReadonlySet<NodeId>
}

/** How long a target is waited for. */
export type Patience =
  /** A failover that can do without it: writes are stopped. */
  | 'brief'
  /** An operator or a restore named it: it learned before, so it should be quick. */
  | 'normal'
  /** Without it there are fewer than minReplicas: there is nothing better to do than to wait. */
  | 'long'

interface Target {
  reply: EnterReply | undefined
  answeredAt: number
  bytes: number
  progressAt: number
}

export function* enter(
  env: AttemptEnv,
  message: EnterMessage,
  patience: Patience,
  /** Members of prev whose processes are about to end: they need their leases no more and relinquish beside it (PROTOCOL 2.5). */
  goingDown: readonly NodeId[],
): Step<Entered | (AttemptResult & { kind: 'abandoned' })> {
  const r: Epoch = message.epoch
  const begunAt = env.now
  const targets = new Map<NodeId, Target>()
  for (const { id } of message.members) {
    // A target whose uncommitted end nobody else sealed cuts it off, and must not be accused of that when this attempt fails.
    env.detector.mayCut(message.prev, id, message.start)
    targets.set(id, { reply: undefined, answeredAt: env.now, bytes: -1, progressAt: env.now })
  }
  const released = new Set<NodeId>()
  const relinquish = { kind: 'relinquish', group: message.group, epoch: r } as const
  const entered = (t: Target): boolean => t.reply?.ok === true
  const problems = (): [NodeId, string][] =>
    [...targets]
      .map(([id, t]): [NodeId, string | undefined] => {
        // Known dead; one that was installing may be busy rebuilding its state.
        if (t.reply === undefined && env.detector.silent(env.now, id)) return [id, 'is silent']
        return [id, problem(env.now, t, patience, message.params)]
      })
      .filter((p): p is [NodeId, string] => p[1] !== undefined)
  yield* repeatUntil(env, {
    everyMs: REPEAT_MS,
    pending: () => [
      ...[...targets].filter(([, t]) => !entered(t)).map(([id]) => [id, message] as const),
      ...goingDown.filter((id) => !released.has(id)).map((id) => [id, relinquish] as const),
    ],
    onMessage: (from, reply) => {
      if (reply.kind === 'relinquished' && reply.epoch >= r && goingDown.includes(from)) released.add(from)
      const t = targets.get(from)
      if (t === undefined || entered(t) || reply.kind !== 'enterReply') return
      // An answer to another attempt says nothing about this one.
      if (reply.epoch !== r || reply.checkpointId !== message.checkpointId) return
      t.answeredAt = env.now
      if (reply.bytes !== t.bytes || reply.how !== t.reply?.how) t.progressAt = env.now
      t.bytes = reply.bytes
      t.reply = reply
      if (reply.ok) env.pauses.released(env.now, from)
    },
    finished: () => [...targets.values()].every(entered) || problems().length > 0,
    wakeAt: () => Infinity,
  })
  const failed = problems()
  if (failed.length > 0) {
    return abandoned(
      failed.map(([id, why]) => `${id} ${why}`).join('; '),
      failed.map(([id]) => id),
    )
  }
  return {
    kind: 'entered',
    replies: new Map([...targets].map(([id, t]) => [id, t.reply!])),
    released,
    tookMs: new Map([...targets].map(([id, t]) => [id, t.answeredAt - begunAt])),
  }
}

/** Why a target is not waited for any longer. */
function problem(now: number, t: Target, patience: Patience, params: Params): string | undefined {
  const { reply } = t
  if (reply?.ok === true) return undefined
  if (reply !== undefined && !reply.busy) return `refused to enter: ${reply.reason}`
  // A copy of the whole state would stop all writes for its time: this target joins later, prepared.
  if (reply?.how === 'full' && patience === 'brief') return 'needs a full copy'
  const silence =
    patience === 'brief' ? params.failMs / 2 : patience === 'normal' ? 2 * params.failMs : 5 * params.failMs
  if (now - t.answeredAt >= silence) return 'did not answer ENTER'
  // Writes are stopped meanwhile. Progress is seen a record at a time, so the largest one must have the time to arrive.
  const stuck = patience === 'long' ? INSTALL_PATIENCE_MS : params.failMs + LARGEST_RECORD_MS
  return now - t.progressAt >= stuck ? 'makes no progress while it installs' : undefined
}
