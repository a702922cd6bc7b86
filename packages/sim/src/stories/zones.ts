// Stories of zones: the load moves from one to another, and the primary follows it, as far as it may.
import { DEFAULT_PARAMS } from '@coppice/protocol'
import type { Cluster } from '../cluster.js'
import { check } from '../kernel/violation.js'
import type { Plan } from '../plan.js'
import { QUICK_AFFINITY, ZONES } from '../zones.js'
import { START_MS, story } from './tell.js'
import type { Story } from './tell.js'

/** Long enough for a window, the pause and the change. */
const FOLLOW_MS = 4_000
/** A zone's load is what its clients make, all the time: in a lull of theirs the primary would follow the others. */
const STEADY = { silences: 0, bank: false, locks: false, cache: false, txns: false, watchers: false, endings: false }
const ZONED: Partial<Plan> = {
  ...STEADY,
  zoned: true,
  clients: 6,
  spares: 0,
  params: { ...DEFAULT_PARAMS, affinity: QUICK_AFFINITY },
  healMs: START_MS + 3 * FOLLOW_MS,
}

function zoneOfPrimary(c: Cluster): string | undefined {
  const { members, servers } = c.oracle.registers.newest!
  return servers.find(({ id }) => id === members[0])?.zone
}

function handOvers(c: Cluster): number {
  return c.events.get('attemptActivated:affinity') ?? 0
}

export const ZONE_STORIES: readonly Story[] = [
  story(
    'primary-follows-the-writers',
    (c, _, w) => {
      // Each zone in turn is the busy one, beginning with one that has only backups.
      ZONES.forEach((_, i) =>
        c.kernel.at(START_MS + i * FOLLOW_MS, () => {
          if (i > 0) check(zoneOfPrimary(c) === w.busyZone, 'affinity', () => `load in ${w.busyZone}, not followed`)
          w.busyZone = ZONES.find((zone) => zone !== zoneOfPrimary(c))
        }),
      )
    },
    ZONED,
  ),
  story(
    'operator-keeps-the-primary-from-the-writers',
    (c, n, w) => {
      let earlier = 0
      c.kernel.at(START_MS, () => {
        earlier = handOvers(c)
        n.handOver()
      })
      c.kernel.at(START_MS + 500, () => (w.busyZone = ZONES.find((zone) => zone !== zoneOfPrimary(c))))
      const before = START_MS + QUICK_AFFINITY.operatorMs * (1 - DEFAULT_PARAMS.drift)
      c.kernel.at(before, () => check(handOvers(c) === earlier, 'affinity', () => 'an operator was overruled'))
      c.kernel.at(START_MS + 3 * FOLLOW_MS - 1, () =>
        check(
          handOvers(c) === earlier + 1,
          'affinity',
          () => `${handOvers(c) - earlier} hand-overs after the operator's word was old`,
        ),
      )
    },
    ZONED,
  ),
  story(
    'controller-dies-while-the-primary-follows',
    (c, n, w) => {
      c.onEvent = (_, name, fields) => {
        if (name !== 'attemptBegun' || fields['cause'] !== 'affinity') return
        c.kernel.after(c.random.between(0, 6), () => n.crash(c.leader))
      }
      c.kernel.at(START_MS, () => (w.busyZone = ZONES.find((zone) => zone !== zoneOfPrimary(c))))
      c.kernel.at(START_MS + FOLLOW_MS, () => n.moveLoad())
    },
    ZONED,
  ),
]
