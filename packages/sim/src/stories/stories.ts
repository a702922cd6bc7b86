// Directed stories: named sequences of faults on an otherwise calm cluster, each with all invariants watched. Tests tell them one by
// one; mutants that random seeds seldom meet are caught by them.
import { DEFAULT_PARAMS } from '@coppice/protocol'
import type { Cluster } from '../cluster.js'
import type { ReplicaHost } from '../hosts/replica-host.js'
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

function backupOf(cluster: Cluster): ReplicaHost | undefined {
  return cluster.replicas.find((r) => r.view?.isPrimary === false && r.view.activated)
}

/** These machines see each other and the clients, nobody else. */
function cutOff(cluster: Cluster, island: readonly string[]): void {
  for (const inside of island) {
    for (const outside of cluster.names) {
      if (island.includes(outside)) continue
      cluster.network.block(inside, outside)
      cluster.network.block(outside, inside)
    }
  }
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
  at('backup-crashes', (c, n) => n.crash(backupOf(c))),
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
  at('backup-pauses', (c) => backupOf(c)?.pause(3_000)),
  at('leader-pauses', (c) => c.leader?.pause(3_000)),
  at('primary-is-cut-off', (_c, n) => n.inject('isolatePrimary')),
  at('leader-is-cut-off', (_c, n) => n.inject('isolateLeader')),
  at('primary-disk-hangs', (_c, n) => n.inject('hangPrimaryDisk')),
  at('operator-moves-the-group', (c) => moveAway(c), { spares: 2 }),
  ...leaderDies,
  // A backup keeps a lease and cannot be told of the next epoch; the leader dies and its successor must wait for that lease.
  at('leaseholder-cut-off-while-leaders-change', (c, n) => {
    const backup = backupOf(c)
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
    const backup = backupOf(c)
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
      const backup = backupOf(c)
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
  // The old leader sees only one member any more, and nobody tells it that it leads no longer (its own clock would, much later).
  at(
    'leaseholder-served-by-a-deposed-leader',
    (c) => {
      const { leader } = c
      const backup = backupOf(c)
      if (leader === undefined || backup === undefined) return
      cutOff(c, [leader.id, backup.id])
      c.kernel.after(4_500, () => c.network.healAll())
    },
    { election: { heartbeatMs: 100, stepDownMs: 6_000, timeoutMs: 700 } },
  ),
  // A new leader is elected within a lease, and an operator at once wants a change that the leaseholder cannot hear of.
  at(
    'leaseholder-cut-off-while-an-operator-moves-on',
    (c) => {
      const { leader } = c
      const backup = backupOf(c)
      if (leader === undefined || backup === undefined) return
      cutOff(c, [backup.id])
      leader.crash()
      const others = c.replicas.filter((r) => r.id !== backup.id).slice(0, c.plan.wanted)
      for (let i = 0; i < 10; i++) c.kernel.after(100 + 60 * i, () => c.requestReconfiguration(others))
      c.kernel.after(2_500, () => leader.start())
      c.kernel.after(3_000, () => c.network.healAll())
    },
    {
      election: { heartbeatMs: 30, stepDownMs: 150, timeoutMs: 150 },
      params: { ...DEFAULT_PARAMS, leaseMs: 2_000, failMs: 2_000 },
      latencyMs: 0.4,
      diskMs: 0.3,
    },
  ),
  // A member is given up; while its successor epoch is being chosen, very slowly, it comes back and asks for a lease.
  story('leaseholder-returns-while-the-activation-hangs', (c) => {
    const hang = (hanging: boolean): void => {
      for (const config of c.configs) {
        if (hanging) config.disk.hanging = true
        else config.disk.release()
      }
    }
    let done = false
    c.onEvent = (_node, name, fields) => {
      if (done || name !== 'attemptStep' || fields['step'] !== 'activate' || c.kernel.now < START_MS) return
      done = true
      hang(true)
      c.kernel.after(5, () => c.network.healAll())
      c.kernel.after(550, () => hang(false))
    }
    c.kernel.at(START_MS, () => {
      const backup = backupOf(c)
      if (backup !== undefined) cutOff(c, [backup.id])
    })
  }),
  // Two members enter an epoch whose leader dies; they see only each other and the clients, while the rest goes on without them.
  story(
    'island-in-an-epoch-that-never-ran',
    (c) => {
      let done = false
      c.onEvent = (node, name, fields) => {
        if (done || name !== 'attemptStep' || fields['step'] !== 'relinquish' || c.kernel.now < START_MS) return
        done = true
        const members = c.oracle.registers.newest?.members ?? []
        const island = c.replicas
          .filter((r) => r.store.meta.epoch === fields['epoch'] && members.includes(r.id))
          .slice(0, 2)
        c.kernel.after(0, () => {
          c.configs.find((h) => h.id === node)?.crash()
          cutOff(
            c,
            island.map((r) => r.id),
          )
        })
        c.kernel.after(1_000, () => c.configs.find((h) => h.id === node)?.start())
        c.kernel.after(5_000, () => c.network.healAll())
      }
      c.kernel.at(START_MS, () => c.requestReconfiguration(c.replicas.slice(0, 2)))
    },
    { params: { ...DEFAULT_PARAMS, minReplicas: 1 }, spares: 0 },
  ),
  // A disk is put back from an old copy, under its old storeId, and then it is the only one that answers.
  story(
    'store-restored-from-an-old-copy',
    (c) => {
      const backup = backupOf
      c.kernel.at(2_000, () => {
        const chosen = backup(c)
        const image = chosen?.store.save()
        if (chosen === undefined || image === undefined) return
        c.kernel.at(2_200, () => c.primary?.pause(1_600))
        c.kernel.at(5_500, () => {
          for (const replica of c.replicas) replica.crash()
          chosen.store.restore(image)
          chosen.start()
        })
        c.kernel.at(8_000, () => {
          for (const replica of c.replicas) replica.start()
        })
      })
    },
    { params: { ...DEFAULT_PARAMS, minReplicas: 1 }, spares: 0, healMs: 10_000 },
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
