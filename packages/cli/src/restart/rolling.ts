// A rolling restart: one server at a time, each only while the cluster is whole, and it must be whole again before the next. The primary
// hands over first. Nothing of it is remembered: whatever stops it, the cluster is left as after any restart of one process.
import { randomBytes } from 'node:crypto'
import type { AdminClient } from '@coppice/clerk'
import type { NodeId } from '@coppice/protocol'
import { CliError, EXIT, messageOf } from '../base/exit.js'
import { lookAt } from './health.js'
import type { Health } from './health.js'
import { successorOf, targetsOf } from './order.js'
import type { Part, Target } from './order.js'
import type { Restart } from './ways.js'

const POLL_MS = 200
/** A healthy cluster may be between two leases, or in the middle of a change, ms. */
const SETTLE_MS = 5_000

export interface RollingOptions {
  readonly admin: AdminClient
  readonly restart: Restart
  /** For each step, until the cluster is whole again, ms. */
  readonly withinMs: number
  readonly onProgress: (line: string) => void
  /** Aborted: another restart may have begun, so nothing more is done. */
  readonly signal?: AbortSignal
}
/** One thing that was done. */
export interface DoneStep {
  readonly action: 'restart' | 'handover'
  readonly id: NodeId
  readonly part: Part
  /** Until the cluster was whole again, ms. */
  readonly tookMs: number
  /** The longest pause of writes that a change of epoch made, by the config leader's clock; 0: there was none. */
  readonly writePauseMs: number
}

/** The cluster as it is; refused when it is not whole. */
export async function wholeToBegin(admin: AdminClient): Promise<Health> {
  const health = await untilWhole(admin, SETTLE_MS, () => undefined)
  if (health.problems.length === 0) return health
  throw new CliError(
    EXIT.conditionNotMet,
    `nothing was restarted, because the cluster is not whole: ${health.problems.join('; ')}. See "coppice status"`,
  )
}

/** Restarts these servers in their order. Throws at the first step after which the cluster does not become whole. */
export async function rollingRestart(ids: readonly NodeId[], options: RollingOptions): Promise<DoneStep[]> {
  const { admin, onProgress } = options
  const done: DoneStep[] = []
  const remaining = new Set(ids)
  let health = await wholeToBegin(admin)
  while (remaining.size > 0) {
    if (options.signal?.aborted === true)
      throw stopped(new CliError(EXIT.error, 'the lock that keeps other restarts away was lost'), ids, remaining)
    const target = targetsOf(health).find(({ id }) => remaining.has(id))
    if (target === undefined) throw new CliError(EXIT.error, `${[...remaining].join(', ')} does not answer any more`)
    const successor = target.part === 'primary' ? successorOf(health.state.members, remaining) : undefined
    const count = `[${ids.length - remaining.size + 1}/${ids.length}]`
    onProgress(
      `${count} ${target.id} (${target.part}) ${successor === undefined ? 'restarts' : `hands over to ${successor}`}`,
    )
    const begun = performance.now()
    const { epoch } = health.state
    try {
      health = successor === undefined ? await restartOne(target, options) : await handOver(successor, options)
    } catch (error) {
      throw stopped(error, ids, remaining)
    }
    const tookMs = Math.round(performance.now() - begun)
    // What an epoch cost is written a moment after it, or never, if the config leader changed.
    if (health.state.history.some((each) => each.epoch > epoch && each.writePauseMs === null)) {
      await pause(POLL_MS)
      health = wholeOr(await untilWhole(admin, SETTLE_MS, () => undefined), 'the cluster is not whole any more')
    }
    const pauses = health.state.history
      .filter((each) => each.epoch > epoch)
      .flatMap(({ writePauseMs }) => writePauseMs ?? [])
    const writePauseMs = Math.round(Math.max(0, ...pauses))
    const paused = pauses.length === 0 ? '' : `, writes paused for ${writePauseMs} ms`
    onProgress(`${count} whole again after ${(tookMs / 1_000).toFixed(1)} s${paused}`)
    const action = successor === undefined ? 'restart' : 'handover'
    if (successor === undefined) remaining.delete(target.id)
    done.push({ action, id: target.id, part: target.part, tookMs, writePauseMs })
  }
  return done
}

async function restartOne(target: Target, { admin, restart, withinMs }: RollingOptions): Promise<Health> {
  const since = performance.now()
  await restart(target, withinMs)
  const health = await untilWhole(admin, since + withinMs - performance.now(), ({ servers }) => {
    const { status, askedAt } = servers.find(({ kind, id }) => kind === target.kind && id === target.id)!
    if (status === undefined) return `${target.id} is not up`
    // A process that began before it was told to end runs for longer than since then.
    return status.uptimeMs < askedAt - since ? undefined : `${target.id} has not ended`
  })
  return wholeOr(health, `${target.id} was restarted, but the cluster was not whole within ${withinMs / 1_000} s`)
}

async function handOver(to: NodeId, { admin, withinMs }: RollingOptions): Promise<Health> {
  const { ok, message } = await admin.handover(to, randomBytes(16).toString('hex'))
  if (!ok) throw new CliError(EXIT.conditionNotMet, `hand-over to ${to}: ${message}`)
  const health = await untilWhole(admin, withinMs, () => undefined)
  return wholeOr(health, `${to} took over, but the cluster was not whole within ${withinMs / 1_000} s`)
}

function wholeOr(health: Health, words: string): Health {
  if (health.problems.length === 0) return health
  throw new CliError(EXIT.error, `${words}: ${health.problems.join('; ')}`)
}

/** Looks until nothing is wrong, `problem` included, or the time is over; then what is wrong still is in the answer. */
async function untilWhole(
  admin: AdminClient,
  withinMs: number,
  problem: (health: Health) => string | undefined,
): Promise<Health> {
  const deadline = performance.now() + withinMs
  for (;;) {
    const health = await lookAt(admin).catch((error: unknown) => {
      // An election is under way, or a majority is down: as long as there is time that is no failure.
      if (performance.now() >= deadline) throw error
      return undefined
    })
    if (health !== undefined) {
      const own = problem(health)
      const problems = [...(own === undefined ? [] : [own]), ...health.problems]
      if (problems.length === 0 || performance.now() >= deadline) return { ...health, problems }
    }
    await pause(POLL_MS)
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** What happened, what is done, and how to go on. */
function stopped(error: unknown, ids: readonly NodeId[], remaining: ReadonlySet<NodeId>): CliError {
  const exitCode = error instanceof CliError ? error.exitCode : EXIT.error
  const done = ids.filter((id) => !remaining.has(id))
  const words = done.length === 0 ? 'nothing was restarted before' : `restarted before: ${done.join(', ')}`
  return new CliError(
    exitCode,
    `stopped: ${messageOf(error)} (${words}). See its log and "coppice status"; once the cluster is whole, go on with: coppice restart ${[...remaining].join(' ')}`,
  )
}
