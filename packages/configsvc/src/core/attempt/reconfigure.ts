// One attempt at a new epoch, straight through the steps of PROTOCOL 2: RESERVE, PREPARE, DRAIN, SEAL, ENTER, RELINQUISH, ACTIVATE. It ends
// activated or abandoned; once its activation is proposed it cannot be abandoned any more.
import { GENESIS_LINEAGE, GENESIS_NEXT, MAX_ADMIN_RESULTS, configurationOf } from '@coppice/protocol'
import type { CatchUp, ConfigState, Epoch, EpochSummary, Index, Lineage, Millis, NodeId } from '@coppice/protocol'
import { MAX_HISTORY, REPEAT_MS } from '../bounds.js'
import { abandoned, choose, entryOf, repeatUntil } from './attempt.js'
import type { AttemptEnv, AttemptPlan, AttemptResult, Step } from './attempt.js'
import { drain, resume } from './drain.js'
import { enter } from './enter.js'
import type { EnterMessage, Entered, Patience } from './enter.js'
import { prepare } from './prepare.js'
import type { Learned } from './prepare.js'
import { seal, sealedByDrain } from './seal.js'
import type { SealReply } from './seal.js'

/** Where the new epoch begins, and from whom its members get what they miss. */
interface Beginning {
  readonly start: Index
  readonly lineage: Lineage
  readonly digest: string
  readonly shippers: readonly { readonly id: NodeId; readonly base: Index }[]
  readonly next: readonly NodeId[]
}

export function* reconfigure(env: AttemptEnv, plan: AttemptPlan, from: Epoch): Step<AttemptResult> {
  // 1 RESERVE: the number belongs to this attempt alone.
  env.stage('reserve', { cause: plan.cause, next: plan.next })
  const prev = yield* choose((s) => (s.epoch === from ? { ...s, reservedEpoch: s.reservedEpoch + 1 } : undefined))
  if (prev === undefined) return abandoned('the epoch changed meanwhile')
  const r = prev.reservedEpoch
  const checkpointId = `e${r}-b${env.ballot.round}-${env.ballot.node.slice(0, 32)}`

  // 2 PREPARE: nothing is stopped yet.
  let learned: ReadonlyMap<NodeId, Learned> = new Map()
  let stoppedAt = env.now
  let answer: SealReply | undefined
  if (plan.planned) {
    const prepared = yield* prepare(env, plan, prev, r, checkpointId)
    if (prepared.kind === 'abandoned') return prepared
    learned = prepared.learned
    // A planned change drains first, so that nobody has to wait.
    const drained = yield* drain(env, plan, prev, r, checkpointId)
    if (drained.kind === 'abandoned') return drained
    stoppedAt = drained.since
    answer = drained.sealed
  }
  const giveUp = (result: AttemptResult & { kind: 'abandoned' }): AttemptResult => {
    if (plan.planned) resume(env, plan, prev, r)
    return result
  }

  // 3 SEAL: the old epoch ends; epoch 1 has none before it (P7).
  if (prev.epoch > 0) env.pauses.writesStopped(stoppedAt)
  const begun = prev.epoch === 0 ? bootstrap(env, plan) : yield* sealPrevious(env, plan, prev, r, answer)
  if ('kind' in begun) return giveUp(begun)

  // 4 ENTER: all targets, or none.
  const { next, start } = begun
  env.stage('enter', { epoch: r, next, start })
  const message: EnterMessage = {
    kind: 'enter',
    group: prev.group,
    epoch: r,
    prev: prev.epoch,
    checkpointId,
    start,
    lineage: [...begun.lineage].map(([epoch, at]) => [epoch, at]),
    digest: begun.digest,
    sources: begun.shippers.map(({ id, base }) => ({ server: entryOf(prev, id), base })),
    members: next.map((id) => entryOf(prev, id)),
    params: prev.params,
  }
  const goingDown = plan.cause === 'leave' ? prev.members.filter((id) => !next.includes(id)) : []
  const entered = yield* enter(env, message, patienceFor(plan, next), goingDown)
  if (entered.kind === 'abandoned') return giveUp(entered)

  // 5 RELINQUISH: from here on the old epoch gets no lease.
  yield* relinquish(env, prev, r, [...next, ...entered.released])

  // 6 ACTIVATE: proposed once, repeated by the proposer until it is chosen; there is no way back.
  env.stage('activate', { epoch: r })
  const summary = summaryOf(plan, r, next, start, learned, entered)
  const chosen = yield* choose((s) => activation(s, prev, r, start, checkpointId, summary, plan))
  if (chosen === undefined) return abandoned('the epoch changed meanwhile')

  env.pauses.activated(chosen)

  // 7 Pushed at once; every later grant and answer carries it again.
  const configuration = configurationOf(chosen)
  for (const id of next) {
    env.send(id, { kind: 'activate', group: prev.group, configuration })
    // The round that chose the activation began after the ENTER acks arrived: it confirms their lease requests too.
    const nonce = entered.replies.get(id)?.nonce ?? ''
    if (nonce === '') continue
    env.leases.granted(env.now, id)
    env.pauses.granted(env.now, r)
    env.send(id, { kind: 'grant', group: prev.group, epoch: r, nonce, configuration })
  }
  // Whoever is a member no longer tells those that still ask it where to go.
  for (const id of prev.members)
    if (!next.includes(id)) env.send(id, { kind: 'activate', group: prev.group, configuration })
  return { kind: 'activated', state: chosen }
}

/** P7: epoch 1 begins at genesis, where every store is. */
function bootstrap(env: AttemptEnv, plan: AttemptPlan): Beginning {
  const digest = env.detector.report(plan.next[0]!)?.digest ?? ''
  return { start: GENESIS_NEXT, lineage: GENESIS_LINEAGE, digest, shippers: [], next: plan.next }
}

function* sealPrevious(
  env: AttemptEnv,
  plan: AttemptPlan,
  prev: ConfigState,
  r: Epoch,
  /** Of the primary, drained. */
  drained: SealReply | undefined,
): Step<Beginning | (AttemptResult & { kind: 'abandoned' })> {
  env.stage('seal', { epoch: r, prev: prev.epoch, members: prev.members })
  const byDrain = drained === undefined ? undefined : sealedByDrain(env, prev, drained)
  const sealed = byDrain ?? (yield* seal(env, prev, r, plan.next))
  if (sealed.kind === 'abandoned') return sealed
  const unfit = plan.next.filter((id) => sealed.unfit.includes(id))
  const able = plan.next.filter((id) => !unfit.includes(id))
  // A member that is not known dead but did not answer joins later, if the failover can do without it.
  const answered = able.filter((id) => sealed.fit.includes(id))
  const targets = plan.cause === 'failover' && answered.length >= plan.least ? answered : able
  // Amnesia or lost data: it may come back later as a new member, never as an old one.
  if (targets.length < plan.least) return abandoned(`${unfit.join(', ')} has lost data`, unfit)
  const next = plan.cause === 'failover' ? failoverOrder(prev, targets, sealed.fit) : targets
  const { answer, shippers } = sealed
  return { start: answer.nextIndex, lineage: answer.lineage, digest: answer.digest, shippers, next }
}

/** The old primary if it answered, else the member that has most; then who answered, then who did not yet. */
function failoverOrder(prev: ConfigState, targets: readonly NodeId[], fit: readonly NodeId[]): NodeId[] {
  const old = prev.members[0]!
  const primary =
    targets.includes(old) && fit.includes(old) ? old : (fit.find((id) => targets.includes(id)) ?? targets[0]!)
  const answered = prev.members.filter((id) => targets.includes(id) && fit.includes(id) && id !== primary)
  return [primary, ...answered, ...targets.filter((id) => id !== primary && !answered.includes(id))]
}

function patienceFor(plan: AttemptPlan, next: readonly NodeId[]): Patience {
  if (plan.cause !== 'failover') return 'normal'
  return next.length > plan.least ? 'brief' : 'long'
}

/** PROTOCOL 2.5 and L4: returns when no member of prev can hold a lease of prev any more. */
function* relinquish(env: AttemptEnv, prev: ConfigState, r: Epoch, done: readonly NodeId[]): Step<void> {
  env.leases.closed = true // L2: no grant at or past RELINQUISH
  env.stage('relinquish', { epoch: r })
  const released = new Set<NodeId>(done) // an ENTER ack counts as relinquished
  const over = (id: NodeId): boolean => released.has(id) || env.now >= env.leases.overAt(id, prev.params) // L4
  yield* repeatUntil(env, {
    everyMs: REPEAT_MS,
    pending: () =>
      prev.members
        .filter((id) => !released.has(id))
        .map((id) => [id, { kind: 'relinquish', group: prev.group, epoch: r }] as const),
    onMessage: (id, message) => {
      if (message.kind === 'relinquished' && message.epoch >= r && prev.members.includes(id)) {
        released.add(id)
        env.pauses.released(env.now, id)
      }
    },
    finished: () => prev.members.every(over),
    wakeAt: (): Millis => {
      const waiting = prev.members.filter((id) => !released.has(id)).map((id) => env.leases.overAt(id, prev.params))
      return Math.max(...waiting, env.now)
    },
  })
}

/** The value that activates r, or nothing when the register moved on without us. */
function activation(
  s: ConfigState,
  prev: ConfigState,
  r: Epoch,
  start: Index,
  checkpointId: string,
  summary: EpochSummary,
  plan: AttemptPlan,
): ConfigState | undefined {
  if (s.epoch !== prev.epoch || s.reservedEpoch !== r) return undefined
  const result =
    plan.adminId === undefined
      ? []
      : [{ requestId: plan.adminId, ok: true, message: `epoch ${r}: ${summary.members.join(', ')}`, epoch: r }]
  return {
    ...s,
    epoch: r,
    members: summary.members,
    start,
    checkpointId,
    wanted: plan.wanted,
    adminResults: [...s.adminResults, ...result].slice(-MAX_ADMIN_RESULTS),
    history: [...s.history, summary].slice(-MAX_HISTORY),
  }
}

function summaryOf(
  plan: AttemptPlan,
  epoch: Epoch,
  next: readonly NodeId[],
  start: Index,
  learned: ReadonlyMap<NodeId, Learned>,
  entered: Entered,
): EpochSummary {
  const catchUp = next.map((id): CatchUp => {
    const before = learned.get(id) ?? { how: 'none', bytes: 0, ms: 0 }
    const { how, bytes } = entered.replies.get(id)!
    const ms = how === 'none' ? 0 : entered.tookMs.get(id)!
    return {
      id,
      how: before.how === 'full' || how === 'none' ? before.how : how,
      bytes: before.bytes + bytes,
      ms: before.ms + ms,
      learnedBytes: before.bytes,
    }
  })
  return {
    epoch,
    members: [...next],
    start,
    cause: plan.cause,
    detail: plan.detail.slice(0, 500),
    catchUp,
    // Added once the primary leads.
    writePauseMs: null,
    readPauseMs: null,
  }
}
