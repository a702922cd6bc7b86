// What stories are told with: an otherwise calm cluster, one moment or several, and words for its machines.
import type { Cluster } from '../cluster.js'
import type { ReplicaHost } from '../hosts/replica-host.js'
import type { Nemesis } from '../nemesis.js'
import type { Plan } from '../plan.js'
import type { Workload } from '../workload/workload.js'

/** A directed sequence of faults with a name. */
export interface Story {
  readonly name: string
  readonly plan: Partial<Plan>
  readonly play: (cluster: Cluster, nemesis: Nemesis, workload: Workload) => void
}

/** When stories begin their faults: the first epoch runs by then. */
export const START_MS = 3_000

/** Defaults that keep a story the same for every seed but for delays. */
const CALM: Partial<Plan> = { healMs: 9_000, thinkMs: 15, keys: 2, spares: 1 }

/** Calls `act` a moment after `condition` first holds. */
export function when(cluster: Cluster, condition: () => boolean, act: () => void): void {
  const look = (): void => {
    if (condition()) cluster.kernel.after(cluster.random.between(0, 2), act)
    else if (cluster.kernel.now < cluster.plan.healMs) cluster.kernel.after(1, look)
  }
  look()
}

export function story(
  name: string,
  play: (c: Cluster, n: Nemesis, w: Workload) => void,
  plan: Partial<Plan> = {},
): Story {
  return { name, plan: { ...CALM, ...plan }, play }
}

/** A story of one moment: `act` at START_MS. */
export function at(name: string, act: (c: Cluster, n: Nemesis) => void, plan: Partial<Plan> = {}): Story {
  return story(name, (c, n) => c.kernel.at(START_MS, () => act(c, n)), plan)
}

export function backupOf(cluster: Cluster): ReplicaHost | undefined {
  return cluster.replicas.find((r) => r.view?.isPrimary === false && r.view.activated)
}

/** These machines see each other and the clients, nobody else. */
export function cutOff(cluster: Cluster, island: readonly string[]): void {
  for (const inside of island) {
    for (const outside of cluster.names) {
      if (island.includes(outside)) continue
      cluster.network.block(inside, outside)
      cluster.network.block(outside, inside)
    }
  }
}

export function moveAway(cluster: Cluster): void {
  const { replicas, oracle, plan } = cluster
  const members = oracle.registers.newest?.members ?? []
  const others = replicas.filter((r) => !members.includes(r.id))
  const stay = replicas.filter((r) => members.slice(1).includes(r.id))
  cluster.requestReconfiguration([...others, ...stay].slice(0, plan.wanted))
}

/** Acts once, when `condition` first holds after START_MS. */
export function onceThat(name: string, condition: (c: Cluster) => boolean, act: (c: Cluster) => void): Story {
  return story(name, (c) =>
    when(
      c,
      () => c.kernel.now > START_MS && condition(c),
      () => act(c),
    ),
  )
}
