// Stories of planned changes (PROTOCOL 2, last paragraph): hand-overs under load, deaths in the middle of a drain, members that go down.
import type { Cluster } from '../cluster.js'
import type { ReplicaHost } from '../hosts/replica-host.js'
import type { Nemesis } from '../nemesis.js'
import { START_MS, story } from './tell.js'
import type { Story } from './tell.js'

const END_MS = 8_500

function every(c: Cluster, ms: number, act: () => void): void {
  for (let time = START_MS; time < END_MS; time += ms) c.kernel.at(time, act)
}

/** Hands over again and again; `act` happens within some messages of the moment in which a primary has begun to drain. */
function whileDraining(
  name: string,
  act: (c: Cluster, n: Nemesis, primary: ReplicaHost | undefined, target: ReplicaHost | undefined) => void,
): Story {
  return story(name, (c, n) => {
    const of = (id: unknown): ReplicaHost | undefined => c.replicas.find((r) => r.id === id)
    c.onEvent = (node, event, fields) => {
      if (event !== 'draining' || node === fields['target'] || c.kernel.now < START_MS) return
      c.kernel.after(c.random.between(0, 3), () => act(c, n, of(node), of(fields['target'])))
    }
    every(c, 1_900, () => n.handOver())
  })
}

export const PLAN_STORIES: readonly Story[] = [
  story('handed-over-again-and-again', (c, n) => every(c, 150, () => n.handOver())),
  story('two-operators-at-once', (c, n) => every(c, 500, () => n.inject('twoOperators')), { spares: 2 }),
  whileDraining('controller-dies-while-draining', (c, n) => n.crash(c.leader)),
  whileDraining('primary-dies-while-draining', (_c, n, primary) => n.crash(primary)),
  whileDraining('target-dies-while-draining', (_c, n, _primary, target) => n.crash(target)),
  whileDraining('controller-and-primary-die-while-draining', (c, n, primary) => {
    n.crash(c.leader)
    n.crash(primary)
  }),
  // Nobody carries the change on, and nobody seals: the primary must admit again by itself.
  whileDraining('config-service-is-gone-while-draining', (c, n) => {
    for (const host of c.configs) n.crash(host)
  }),
  story('members-go-down-in-order', (c, n) => every(c, 1_800, () => n.leave(c.primary)), { healMs: 10_000 }),
  story('all-go-down-in-order', (c, n) => {
    c.kernel.at(START_MS, () => {
      for (const host of c.replicas) n.leave(host)
    })
  }),
  // They end when nothing is broken any more, and are started again all the same.
  story('all-go-down-while-everything-heals', (c, n) => {
    c.kernel.at(c.plan.healMs - 1, () => {
      for (const host of c.replicas) n.leave(host)
    })
  }),
]
