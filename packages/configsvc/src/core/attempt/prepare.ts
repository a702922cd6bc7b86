// PREPARE (PROTOCOL 2.2): while the old epoch runs, the targets are checked and new members learn snapshot and log, so that ENTER ships
// little. Nothing is stopped yet: any failure abandons the attempt and leaves the old epoch untouched.
//
// A learner says itself that it has all there is, which under steady writes is a matter of chance: something more is committed always.
// So learning is also watched in rounds, each up to what was committed when it began (Raft, section 4.2.1): a short round is near enough.
import { FREE_DISK_WATERMARK_BYTES, LOADED_BYTES_PER_MS } from '@coppice/protocol'
import type { CatchUp, ConfigState, ConfigToReplica, Epoch, Index, Millis, NodeId } from '@coppice/protocol'
import {
  LEARNER_SILENCE_FACTOR,
  LEARN_PATIENCE_MS,
  LEARN_REPEAT_MS,
  LONGER_ROUNDS,
  LONGEST_ROUND_FACTOR,
  SHORT_ROUND_MS,
} from '../bounds.js'
import { abandoned, entryOf, repeatUntil } from './attempt.js'
import type { AttemptEnv, AttemptPlan, AttemptResult, Step } from './attempt.js'

/** What a new member was shipped before anything was stopped. */
export interface Learned {
  readonly how: CatchUp['how']
  readonly bytes: number
  readonly ms: Millis
}

interface Prepared {
  readonly kind: 'prepared'
  /** By new member. */
  readonly learned: ReadonlyMap<NodeId, Learned>
}

interface Learner {
  ready: boolean
  /** How long it took until it was. */
  readyMs: Millis
  how: CatchUp['how']
  bytes: number
  nextIndex: number
  progressAt: number
  round: Round
  /** The shortest round so far, ms, and how many since then were no shorter. */
  shortestMs: Millis
  noShorter: number
}

/** From what the learner had to what was committed when it began. */
interface Round {
  readonly begunAt: Millis
  readonly from: Index
  readonly to: Index
}

export function* prepare(
  env: AttemptEnv,
  plan: AttemptPlan,
  prev: ConfigState,
  r: Epoch,
  tag: string,
): Step<Prepared | (AttemptResult & { kind: 'abandoned' })> {
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
  const begunAt = env.now
  const learners = new Map<NodeId, Learner>()
  for (const id of plan.next) {
    if (prev.members.includes(id)) continue
    const round = { begunAt: env.now, from: Infinity, to: 0 }
    const progress = { readyMs: 0, how: 'none', bytes: -1, nextIndex: -1, progressAt: env.now } as const
    learners.set(id, { ready: false, ...progress, round, shortestMs: Infinity, noShorter: 0 })
  }
  const members = plan.next.map((id) => entryOf(prev, id))
  const announce: ConfigToReplica = { kind: 'announce', group: prev.group, epoch: r, prev: prev.epoch, members }
  const told = [...new Set([prev.members[0]!, ...plan.next])]
  if (learners.size === 0) {
    for (const id of told) env.send(id, announce)
    return { kind: 'prepared', learned: new Map() }
  }
  env.stage('prepare', { learners: [...learners.keys()] })
  let failure: (AttemptResult & { kind: 'abandoned' }) | undefined
  yield* repeatUntil(env, {
    everyMs: LEARN_REPEAT_MS,
    pending: () => {
      const sources = sourcesOf(env, prev)
      const message = { kind: 'learn', group: prev.group, attempt: tag, epoch: prev.epoch } as const
      // Those that are ready, too: they go on, so as not to fall behind while the others learn.
      const learn = [...learners.keys()].map((id, i) => {
        return [id, { ...message, source: entryOf(prev, sources[i % sources.length]!) }] as const
      })
      return [...told.map((id) => [id, announce] as const), ...learn]
    },
    onMessage: (from, message) => {
      const learner = learners.get(from)
      if (learner === undefined || message.kind !== 'learnReply' || message.attempt !== tag) return
      if (message.state === 'failed') failure ??= abandoned(`server ${from} could not learn: ${message.reason}`, [from])
      // It goes on learning while others do: time counts while there was need.
      if (!learner.ready) learner.readyMs = env.now - begunAt
      learner.ready ||= message.state === 'ready'
      if (message.bytes !== learner.bytes || message.nextIndex !== learner.nextIndex) learner.progressAt = env.now
      learner.how = message.how
      learner.bytes = message.bytes
      learner.nextIndex = message.nextIndex
      const tooSlow = endRound(env, prev, learner)
      if (tooSlow !== undefined) failure ??= abandoned(`server ${from} ${tooSlow}`, [from])
    },
    finished: () => {
      const interrupted = env.interrupted()
      if (interrupted !== undefined) failure ??= abandoned(interrupted, [], true)
      for (const [id, l] of learners) {
        const silentMs = env.now - env.detector.silentAt(id) + prev.params.failMs
        if (silentMs >= LEARNER_SILENCE_FACTOR * prev.params.failMs + l.bytes / LOADED_BYTES_PER_MS)
          failure ??= abandoned(`server ${id} went silent while it learned`, [id])
        const stuckMs = env.now - l.progressAt
        if (!l.ready && stuckMs >= LEARN_PATIENCE_MS + l.bytes / LOADED_BYTES_PER_MS)
          failure ??= abandoned(`server ${id} made no progress for ${Math.round(stuckMs)} ms while it learned`, [id])
      }
      return failure !== undefined || [...learners.values()].every((l) => l.ready)
    },
    wakeAt: () => Infinity,
  })
  if (failure !== undefined) return failure
  const learned = [...learners].map(([id, l]): [NodeId, Learned] => {
    return [id, { how: l.how, bytes: Math.max(0, l.bytes), ms: l.bytes > 0 ? l.readyMs : 0 }]
  })
  return { kind: 'prepared', learned: new Map(learned) }
}

/**
 * Whom learners bring their logs from, in turn: each ships to as few as can be. A backup has more time than the primary; its commit follows
 * within a message.
 */
function sourcesOf(env: AttemptEnv, prev: ConfigState): readonly NodeId[] {
  const [primary, ...backups] = prev.members
  const running = backups.filter((id) => env.detector.alive(env.now, id)).toReversed()
  return running.length > 0 ? running : [primary!]
}

/** Begins the next round if this one is over. Answers why the learner will never be near enough. */
function endRound(env: AttemptEnv, prev: ConfigState, l: Learner): string | undefined {
  const { round, nextIndex } = l
  const begin = (): void => {
    l.round = { begunAt: env.now, from: nextIndex, to: env.detector.committed(prev.epoch) }
  }
  // The first answer, or one of a log that was cut back; or nobody reported a commit index yet.
  if (nextIndex < round.from || round.to === 0) begin()
  // What it had may be the end of another history, unless it goes on from there.
  if (nextIndex <= l.round.from || nextIndex < l.round.to) return undefined
  const tookMs = env.now - round.begunAt
  begin()
  if (l.ready) return undefined
  l.ready = tookMs <= SHORT_ROUND_MS
  l.noShorter = tookMs < l.shortestMs ? 0 : l.noShorter + 1
  l.shortestMs = Math.min(l.shortestMs, tookMs)
  if (l.noShorter < LONGER_ROUNDS) return undefined
  // It will not come any nearer. ENTER ships what a round ships, with all writes stopped: as long as clerks can well wait.
  l.ready ||= tookMs <= LONGEST_ROUND_FACTOR * prev.params.failMs
  return l.ready
    ? undefined
    : `learns no faster than group ${prev.group} writes: it stays ${Math.round(tookMs)} ms behind`
}
