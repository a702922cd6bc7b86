// PREPARE (PROTOCOL 2.2): while the old epoch runs, the targets are checked and new members learn snapshot and log, so that ENTER ships
// little. Nothing is stopped yet: any failure abandons the attempt and leaves the old epoch untouched.
import { FREE_DISK_WATERMARK_BYTES } from '@coppice/protocol'
import type { ConfigState, NodeId } from '@coppice/protocol'
import { LEARNER_SILENCE_FACTOR, LEARN_PATIENCE_MS, LEARN_REPEAT_MS } from '../bounds.js'
import { abandoned, entryOf, repeatUntil } from './attempt.js'
import type { AttemptEnv, AttemptPlan, AttemptResult, Step } from './attempt.js'

interface Learner {
  ready: boolean
  bytes: number
  nextIndex: number
  progressAt: number
}

/** Answers undefined when every target is ready. */
export function* prepare(
  env: AttemptEnv,
  plan: AttemptPlan,
  prev: ConfigState,
  tag: string,
): Step<(AttemptResult & { kind: 'abandoned' }) | undefined> {
  for (const id of plan.next) {
    const free = env.detector.report(id)?.freeDiskBytes
    if (!prev.members.includes(id) && free !== undefined && free < FREE_DISK_WATERMARK_BYTES) {
      return abandoned(`server ${id} has only ${free} bytes of disk left`, [id])
    }
  }
  // D1: another machine gives other answers to the same operations. Found out at ENTER it would have stopped the group for nothing.
  const digest = prev.members.map((id) => env.detector.report(id)?.digest).find((d) => d !== undefined)
  for (const id of plan.next) {
    const own = env.detector.report(id)?.digest
    if (digest === undefined || own === undefined || own === digest || prev.members.includes(id)) continue
    return abandoned(`server ${id} runs state machine ${own}, the group runs ${digest}`, [id])
  }
  const learners = new Map<NodeId, Learner>()
  for (const id of plan.next) {
    if (!prev.members.includes(id)) learners.set(id, { ready: false, bytes: -1, nextIndex: -1, progressAt: env.now })
  }
  if (learners.size === 0) return undefined
  env.stage('prepare', { learners: [...learners.keys()] })
  let failure: (AttemptResult & { kind: 'abandoned' }) | undefined
  yield* repeatUntil(env, {
    everyMs: LEARN_REPEAT_MS,
    pending: () => {
      // A backup has more time than the primary; its commit follows within a message.
      const running = prev.members.filter((id) => env.detector.alive(env.now, id))
      const source = running.at(-1) ?? prev.members[0]!
      const message = {
        kind: 'learn',
        group: prev.group,
        attempt: tag,
        epoch: prev.epoch,
        source: entryOf(prev, source),
      } as const
      return [...learners].filter(([, l]) => !l.ready).map(([id]) => [id, message] as const)
    },
    onMessage: (from, message) => {
      const learner = learners.get(from)
      if (learner === undefined || message.kind !== 'learnReply' || message.attempt !== tag) return
      if (message.state === 'failed') failure ??= abandoned(`server ${from} could not learn: ${message.reason}`, [from])
      learner.ready ||= message.state === 'ready'
      if (message.bytes !== learner.bytes || message.nextIndex !== learner.nextIndex) learner.progressAt = env.now
      learner.bytes = message.bytes
      learner.nextIndex = message.nextIndex
    },
    finished: () => {
      const interrupted = env.interrupted()
      if (interrupted !== undefined) failure ??= abandoned(interrupted, [], true)
      for (const [id, l] of learners) {
        if (l.ready) continue
        const silentMs = env.now - env.detector.silentAt(id) + prev.params.failMs
        if (silentMs >= LEARNER_SILENCE_FACTOR * prev.params.failMs)
          failure ??= abandoned(`server ${id} went silent while it learned`, [id])
        if (env.now - l.progressAt >= LEARN_PATIENCE_MS) {
          failure ??= abandoned(`server ${id} made no progress for ${LEARN_PATIENCE_MS} ms while it learned`, [id])
        }
      }
      return failure !== undefined || [...learners.values()].every((l) => l.ready)
    },
    wakeAt: () => Infinity,
  })
  return failure
}
