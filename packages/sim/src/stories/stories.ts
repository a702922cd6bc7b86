// Directed stories: named sequences of faults on an otherwise calm cluster, each with all invariants watched. Tests tell them one by
// one; mutants that random seeds seldom meet are caught by them.
import { DEFAULT_PARAMS } from '@coppice/protocol'
import type { Cluster } from '../cluster.js'
import type { Nemesis } from '../nemesis.js'
import type { Plan } from '../plan.js'
import type { Workload } from '../workload/workload.js'

export interface Story {
  readonly name: string
  readonly plan: Partial<Plan>
  readonly play: (cluster: Cluster, nemesis: Nemesis, workload: Workload) => void
}

/** When stories begin their faults: the first epoch runs by then. */
const START_MS = 3_000
const STAGES = ['reserve', 'prepare', 'seal', 'enter', 'relinquish', 'activate'] as const

/** Defaults that keep a story the same for every seed but for delays. */
const CALM: Partial<Plan> = { healMs: 9_000, thinkMs: 15, keys: 2, spares: 1 }

/** Calls `act` a moment after `condition` first holds. */
function when(cluster: Cluster, condition: () => boolean, act: () => void): void {
  const look = (): void => {
    if (condition()) cluster.kernel.after(cluster.random.between(0, 2), act)
    else if (cluster.kernel.now < cluster.plan.healMs) cluster.kernel.after(1, look)
  }
  look()
}

function story(name: string, play: (c: Cluster, n: Nemesis, w: Workload) => void, plan: Partial<Plan> = {}): Story {
  return { name, plan: { ...CALM, ...plan }, play }
}

/** A story of one moment: `act` at START_MS. */
function at(name: string, act: (c: Cluster, n: Nemesis) => void, plan: Partial<Plan> = {}): Story {
  return story(name, (c, n) => c.kernel.at(START_MS, () => act(c, n)), plan)
}

function moveAway(cluster: Cluster): void {
  const { replicas, oracle, plan } = cluster
  const members = oracle.registers.newest?.members ?? []
  const others = replicas.filter((r) => !members.includes(r.id))
  const stay = replicas.filter((r) => members.slice(1).includes(r.id))
  cluster.requestReconfiguration([...others, ...stay].slice(0, plan.wanted))
}

const leaderDies = STAGES.map((stage) =>
  story(`leader-dies-at-${stage}`, (c) => {
    let killed = false
    c.onEvent = (node, name, fields) => {
      if (killed || name !== 'attemptStep' || fields['step'] !== stage || c.kernel.now < START_MS) return
      killed = true
      c.kernel.after(c.random.between(0, 4), () => {
        const leader = c.configs.find((h) => h.id === node)
        leader?.crash()
        c.kernel.after(c.random.between(100, 2_500), () => leader?.start())
      })
    }
    c.kernel.at(START_MS, () => moveAway(c))
  }),
)

export const STORIES: readonly Story[] = [
  story('calm', () => undefined),
  at('primary-crashes', (c, n) => n.crash(c.primary)),
  at('primary-never-returns', (c) => {
    const { primary } = c
    if (primary === undefined) return
    primary.retired = true
    primary.crash()
  }),
  at('backup-crashes', (c, n) => n.crash(c.replicas.find((r) => r.view?.isPrimary === false && r.view.activated))),
  at('leader-crashes', (c, n) => n.crash(c.leader)),
  at('primary-and-leader-crash', (c, n) => {
    n.crash(c.primary)
    n.crash(c.leader)
  }),
  at('all-crash-at-once', (c, n) => {
    for (const host of c.hosts) n.crash(host)
  }),
  at('all-replicas-crash-at-once', (c, n) => {
    for (const host of c.replicas) n.crash(host)
  }),
  at('primary-pauses', (c) => c.primary?.pause(3_000)),
  at('backup-pauses', (c) => c.replicas.find((r) => r.view?.isPrimary === false && r.view.activated)?.pause(3_000)),
  at('leader-pauses', (c) => c.leader?.pause(3_000)),
  at('primary-is-cut-off', (_c, n) => n.inject('isolatePrimary')),
  at('leader-is-cut-off', (_c, n) => n.inject('isolateLeader')),
  at('primary-disk-hangs', (_c, n) => n.inject('hangPrimaryDisk')),
  at('operator-moves-the-group', (c) => moveAway(c), { spares: 2 }),
  ...leaderDies,
  // A backup keeps a lease and cannot be told of the next epoch; the leader dies and its successor must wait for that lease.
  at('leaseholder-cut-off-while-leaders-change', (c, n) => {
    const backup = c.replicas.find((r) => r.view?.isPrimary === false && r.view.activated)
    if (backup === undefined) return
    for (const name of c.names) {
      if (name === backup.id) continue
      c.network.block(name, backup.id)
      c.network.block(backup.id, name)
    }
    n.crash(c.leader)
    c.kernel.after(4_000, () => c.network.healAll())
  }),
  // A disk is lost and its machine returns under its old name: it is a stranger, not a member that lags.
  at('wiped-store-returns', (c) => {
    const backup = c.replicas.find((r) => r.view?.isPrimary === false && r.view.activated)
    backup?.wipe()
    c.kernel.after(300, () => backup?.start())
  }),
  at('wiped-primary-returns', (c) => {
    const { primary } = c
    primary?.wipe()
    c.kernel.after(300, () => primary?.start())
  }),
  // The machine keeps its name and store, but its disk forgot what it had acknowledged: never a source.
  at('primary-restarts-fast', (c) => {
    const { primary } = c
    primary?.crash()
    c.kernel.after(5, () => primary?.start())
  }),
  // Members are sealed, then every config server dies: whoever leads next must carry on by itself.
  story('sealed-and-then-no-leader', (c, n) => {
    let done = false
    c.onEvent = (_node, name) => {
      if (done || name !== 'sealed' || c.kernel.now < START_MS) return
      done = true
      c.kernel.after(0, () => {
        for (const host of c.configs) n.crash(host)
      })
    }
    c.kernel.at(START_MS, () => moveAway(c))
  }),
  // A backup falls behind a truncated log and comes back: only a full checkpoint helps.
  at(
    'absent-for-a-long-time',
    (c) => {
      const backup = c.replicas.find((r) => r.view?.isPrimary === false && r.view.activated)
      backup?.crash()
      c.kernel.after(5_000, () => backup?.start())
    },
    { snapshotEveryBytes: 1_500, minLogBytesKept: 0, healMs: 10_000, spares: 0 },
  ),
  // Nobody calls for longer than the clerks' TTL; the next calls must say so and not run twice.
  story(
    'sessions-expire',
    (c) => {
      for (let time = START_MS; time < 9_000; time += 300) c.kernel.at(time, () => c.workload?.pauseSomeClient(3_500))
    },
    { params: { ...DEFAULT_PARAMS, clerkTtlMs: 2_000 } },
  ),
  // Replies are lost again and again, so clerks repeat what was executed.
  story('replies-lost', (c, n) => {
    for (let time = START_MS; time < 8_500; time += 40) c.kernel.at(time, () => n.inject('resetLink'))
  }),
  story('replies-lost-in-failovers', (c, n) => {
    for (let time = START_MS; time < 8_500; time += 60) c.kernel.at(time, () => n.inject('resetLink'))
    for (let time = START_MS; time < 8_500; time += 1_900) c.kernel.at(time, () => n.inject('crashPrimary'))
  }),
  // Messages of attempts arrive twice and late, while attempts follow each other.
  story(
    'late-duplicates-of-attempts',
    (c, n) => {
      c.network.duplication = 0.5
      for (let time = START_MS; time < 8_500; time += 500) c.kernel.at(time, () => n.inject('reconfigure'))
      c.kernel.at(START_MS, () => (c.network.slowness = 12))
    },
    { fifo: false, acrossRestarts: true, spares: 2 },
  ),
  onceThat(
    'primary-dies-with-operations-in-flight',
    (c) => (c.primary?.view?.nextIndex ?? 0) > (c.primary?.view?.commitIndex ?? 0) + 2,
    (c) => {
      const { primary } = c
      primary?.crash()
      c.kernel.after(400, () => primary?.start())
    },
  ),
]

function onceThat(name: string, condition: (c: Cluster) => boolean, act: (c: Cluster) => void): Story {
  return story(name, (c) =>
    when(
      c,
      () => c.kernel.now > START_MS && condition(c),
      () => act(c),
    ),
  )
}
