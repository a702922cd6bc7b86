// One run: a cluster from a seed, clients and faults on it, healing, and the final checks. The same seed gives the same run, to the
// last message; a violation is run again with the transcript on.
import { checkHistory } from './checker/index.js'
import { Cluster } from './cluster.js'
import type { SimPorts } from './cluster.js'
import { coverageOf } from './coverage.js'
import type { Coverage } from './coverage.js'
import { Prng } from './kernel/prng.js'
import { Trace } from './kernel/trace.js'
import { setTraps } from './kernel/traps.js'
import { check, Violation } from './kernel/violation.js'
import { Nemesis } from './nemesis.js'
import { planOf } from './plan.js'
import type { Plan } from './plan.js'
import { Workload } from './workload/workload.js'

/** Of one run. */
export interface RunOptions {
  readonly ports: SimPorts
  /** Keep the transcript of the whole run; without it a violation is replayed for its last few thousand lines. */
  readonly trace?: boolean
  /** A violation is not replayed for its transcript. */
  readonly quick?: boolean
  /** Overrides parts of what the seed planned. */
  readonly plan?: Partial<Plan>
  /** A directed scenario: called when the cluster is about to start, instead of the nemesis. */
  readonly story?: (cluster: Cluster, nemesis: Nemesis, workload: Workload) => void
}

/** What a run came to. */
export interface RunResult {
  readonly seed: number
  readonly ok: boolean
  readonly violation:
    { readonly invariant: string; readonly message: string; readonly step: number; readonly timeMs: number } | undefined
  /** Lines of the transcript: of the whole run with `trace`, the last ones of a violation. */
  readonly transcript: readonly string[]
  readonly steps: number
  readonly simulatedMs: number
  readonly epochs: number
  /** Calls of clients. */
  readonly operations: number
  readonly crashes: number
  readonly coverage: Coverage
}

/** Runs one seed. Never rejects for what the cluster does: a violation is a result. */
export async function runSeed(seed: number, options: RunOptions): Promise<RunResult> {
  const result = await runOnce(seed, options, new Trace(options.trace === true, true))
  if (result.ok || options.trace === true || options.quick === true) return result
  return runOnce(seed, options, new Trace(true))
}

async function runOnce(seed: number, options: RunOptions, trace: Trace): Promise<RunResult> {
  const random = new Prng(seed)
  // A story is about the register calls alone, unless it says otherwise.
  const quiet =
    options.story === undefined
      ? {}
      : { bank: false, locks: false, cache: false, txns: false, watchers: false, endings: false }
  const plan: Plan = { ...planOf(random.fork()), ...quiet, ...options.plan }
  const cluster = new Cluster(plan, random, trace, options.ports)
  const workload = new Workload(cluster)
  cluster.workload = workload
  const nemesis = new Nemesis(cluster)
  const removeTraps = setTraps()
  let violation: Violation | undefined
  try {
    await play(cluster, workload, nemesis, options)
  } catch (error) {
    if (!(error instanceof Violation)) throw error
    violation = error
  } finally {
    removeTraps()
  }
  const { kernel } = cluster
  if (violation !== undefined && trace.enabled) trace.line(kernel.now, 'oracle', `!! ${violation.message}`)
  return {
    seed,
    ok: violation === undefined,
    violation: violation && {
      invariant: violation.invariant,
      message: violation.message,
      step: kernel.steps,
      timeMs: kernel.now,
    },
    transcript: trace.enabled ? trace.lines() : [],
    steps: kernel.steps,
    simulatedMs: kernel.now,
    epochs: cluster.oracle.registers.epoch,
    operations: workload.history.calls.length,
    crashes: cluster.crashes,
    coverage: coverageOf(cluster),
  }
}

/** State hashes are compared this often, and at the end. */
const COMPARE_EVERY_MS = 1_500

async function play(cluster: Cluster, workload: Workload, nemesis: Nemesis, options: RunOptions): Promise<void> {
  const { kernel, plan, oracle, answerBoundMs } = cluster
  const until = async (time: number, done: () => boolean): Promise<void> => {
    await kernel.run(time, () => workload.failure !== undefined || done())
    if (workload.failure !== undefined) throw workload.failure
  }
  const never = (): boolean => false
  const healed = (): boolean => cluster.healed
  cluster.start()
  kernel.after(200, () => workload.start())
  if (options.story === undefined) nemesis.start()
  else options.story(cluster, nemesis, workload)
  for (let time = COMPARE_EVERY_MS; time < plan.healMs && !cluster.healed; time += COMPARE_EVERY_MS) {
    await until(time, healed)
    oracle.compareHashes()
  }
  await until(plan.healMs + 1, healed)
  cluster.healed = true
  nemesis.heal()
  await until(kernel.now + 1_000, never)
  workload.stop()
  await until(kernel.now + answerBoundMs, () => workload.running === 0)
  check(
    workload.running === 0,
    'I10',
    () => `${workload.running} clients still wait ${answerBoundMs} ms after everything healed`,
  )
  workload.spawnProbe()
  await until(kernel.now + 2 * answerBoundMs, () => workload.running === 0)
  check(workload.running === 0, 'I10', () => 'the probe after healing does not end')
  await until(kernel.now + answerBoundMs, () => drained(cluster))
  check(drained(cluster), 'I9', () => `members do not come to one index: ${describeMembers(cluster)}`)
  oracle.compareHashes()
  const { watches } = workload
  const end = oracle.commits.chainEnd
  const truth = oracle.commits.changes(cluster.bytes)
  await until(kernel.now + answerBoundMs, () => watches.haveAll(truth))
  watches.checkAll(oracle.commits.changes(cluster.bytes), end)
  workload.checkLedger()
  const checked = checkHistory(workload.history.operations(), { budget: budget() })
  check(checked.verdict !== 'illegal', 'history', () => (checked.verdict === 'illegal' ? checked.message : ''))
}

/** A search that does not end is given up; the versions were compared anyway. */
function budget(): () => boolean {
  let left = 400
  return () => left-- > 0
}

/** Every member of the active epoch has everything, and knows it committed. */
function drained(cluster: Cluster): boolean {
  const members = cluster.oracle.registers.newest?.members ?? []
  const views = members.map((id) => cluster.replicas.find((r) => r.id === id)?.view)
  const first = views[0]
  if (first === undefined) return false
  return views.every(
    (v) => v?.activated === true && v.nextIndex === first.nextIndex && v.commitIndex === first.nextIndex,
  )
}

function describeMembers(cluster: Cluster): string {
  const parts = cluster.replicas.map((r) => {
    const v = r.view
    if (v === undefined) return `${r.id} down`
    return `${r.id} epoch ${v.meta.epoch}${v.activated ? '' : ' (not active)'} next ${v.nextIndex} commit ${v.commitIndex}`
  })
  return parts.join(', ')
}
