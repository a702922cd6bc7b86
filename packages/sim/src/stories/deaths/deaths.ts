// The table of deaths: in each kind of change each machine that has a part in it falls at each arrow, before and after. The group must go
// on by itself, with that machine gone until everything heals; all invariants are watched, as in every story.
import type { NodeId } from '@coppice/protocol'
import type { Cluster } from '../../cluster.js'
import type { Host } from '../../hosts/host.js'
import { ReplicaHost } from '../../hosts/replica-host.js'
import { check } from '../../kernel/violation.js'
import { cutOff, story } from '../tell.js'
import type { Story } from '../tell.js'
import { ARROWS, Arrows } from './arrows.js'
import type { Arrow } from './arrows.js'
import { KINDS, reaches, VICTIMS, victimOf } from './kinds.js'
import type { Cast, Kind, Victim } from './kinds.js'
import { WriteGap } from './write-gap.js'
import { watchWire } from './wire.js'
import type { Passing } from './wire.js'

/** The arrow is about to be sent; is in flight; has arrived, and what it asks for may be durable or not; is about to be answered. */
export const MOMENTS = ['unsent', 'sent', 'arrived', 'done'] as const
export type Moment = (typeof MOMENTS)[number]

/** How a machine falls. */
export const FALLS = ['dies', 'is cut off', 'loses its disk'] as const
export type Fall = (typeof FALLS)[number]

export interface Death extends Story {
  readonly kind: Kind['name']
  readonly victim: Victim
  readonly arrow: Arrow
  readonly moment: Moment
  readonly fall: Fall
  /** Longest time without an acknowledged write of the run told last, ms. */
  gapMs(): number
}

/** The first epoch runs by then, and has a snapshot or two. */
const BEGIN_MS = 1_500
/** Latest end of the faults; most runs have gone on long before. */
const HEAL_MS = 12_000
/** A machine without which there would be fewer than minReplicas comes back after this long. */
const AWAY_MS = 700
/** Writes must have gone on for so long, with every member there, until a story is told. */
const CALM_MS = 250

export const DEATHS: readonly Death[] = KINDS.flatMap((kind) =>
  VICTIMS.flatMap((victim) =>
    ARROWS.flatMap((arrow) =>
      MOMENTS.flatMap((moment) =>
        FALLS.filter((fall) => happens(kind, victim, arrow, fall)).map((fall) =>
          death(kind, victim, arrow, moment, fall),
        ),
      ),
    ),
  ),
)

function happens(kind: Kind, victim: Victim, arrow: Arrow, fall: Fall): boolean {
  if (kind.without.includes(arrow)) return false
  const failover = kind.name === 'failover'
  if (fall === 'dies') return true
  // A failover has used up the one machine the group can do without; its old primary has fallen already.
  if (fall === 'loses its disk') return victim !== 'controller' && !failover
  return !(failover && victim === 'oldPrimary')
}

function death(kind: Kind, victim: Victim, arrow: Arrow, moment: Moment, fall: Fall): Death {
  const returns = kind.name === 'failover' && victim === 'oldPrimary'
  const name = `${kind.name}: ${victim} ${returns ? 'returns' : fall} at ${arrow}, ${moment}`
  let gap: WriteGap | undefined
  const told = story(
    name,
    (c) => {
      gap = new WriteGap(c)
      c.kernel.at(BEGIN_MS, () => begin(c))
    },
    { spares: kind.spares, healMs: HEAL_MS, thinkMs: 10, clients: 4, keys: 3 },
  )
  const begin = (c: Cluster): void => {
    const newest = c.oracle.registers.newest
    check(newest?.epoch === 1, 'story', () => 'the first epoch does not run')
    const prev = newest!.members
    const cast: Cast = { prev, next: kind.next(c, prev) }
    const arrows = new Arrows(newest!)
    let fallen = false
    const fell = (): void => {
      fallen = true
      const id = victimOf(victim, c, cast, arrows)
      const host = c.hosts.find((h) => h.id === id)
      check(host !== undefined, 'story', () => `there is no ${victim} at ${arrow}`)
      if (returns) host!.start()
      else fallOf(c, host!, fall, kind.name === 'failover' && host instanceof ReplicaHost)
      whenCalm(c, () => c.healNow())
    }
    watchWire(c, (passing) => {
      if (fallen || c.healed) return undefined
      if (isMoment(passing, arrow, moment, victimOf(victim, c, cast, arrows), cast, arrows)) fell()
      return undefined
    })
    c.kernel.at(HEAL_MS - 1, () => {
      check(fallen, 'story', () => `${name}: this never happened`)
      check(c.healed, 'I10', () => `${name}: the group does not go on by itself`)
    })
    gap!.start()
    kind.begin(c, cast)
  }
  return { ...told, kind: kind.name, victim, arrow, moment, fall, gapMs: () => gap?.longestMs ?? 0 }
}

/** Whether this is the moment: of the arrow that goes to the victim if one does, else of any. */
function isMoment(
  { seen, from, to, message }: Passing,
  arrow: Arrow,
  moment: Moment,
  victim: NodeId | undefined,
  cast: Cast,
  arrows: Arrows,
): boolean {
  const is = arrows.arrowOf(message) === arrow
  const own = victim !== undefined && reaches(arrow, victim, cast, arrows)
  switch (moment) {
    case 'unsent':
      return is && seen === 'leaving' && (!own || to === victim)
    case 'sent':
      return is && seen === 'inFlight' && (!own || to === victim)
    case 'arrived':
      return is && seen === 'arrived' && (!own || to === victim)
    case 'done':
      return seen === 'leaving' && arrows.answers(arrow, message) && (!own || from === victim)
  }
}

function fallOf(c: Cluster, host: Host, fall: Fall, comesBack: boolean): void {
  const { kernel } = c
  switch (fall) {
    case 'dies':
      host.crash()
      if (comesBack) kernel.after(AWAY_MS, () => host.start())
      return
    case 'is cut off':
      cutOff(c, [host.id])
      if (comesBack) kernel.after(AWAY_MS, () => c.network.healAll())
      return
    case 'loses its disk':
      ;(host as ReplicaHost).wipe()
      kernel.after(AWAY_MS, () => host.start())
      return
  }
}

/** Calls `act` once the group has gone on: its members are all there, nothing is being changed, and that lasted a while. */
function whenCalm(c: Cluster, act: () => void): void {
  let since = c.kernel.now
  const look = (): void => {
    if (c.healed) return
    if (!isCalm(c)) since = c.kernel.now
    if (c.kernel.now - since >= CALM_MS) return act()
    c.kernel.after(5, look)
  }
  c.kernel.after(CALM_MS, look)
}

function isCalm(c: Cluster): boolean {
  const newest = c.oracle.registers.newest!
  const members = newest.members.map((id) => c.replicas.find((r) => r.id === id)!)
  if (c.leader === undefined || c.leader.view?.attempt !== undefined || members.length < c.plan.wanted) return false
  return members.every((r) => {
    const { view } = r
    return (
      view?.activated === true &&
      view.meta.epoch === newest.epoch &&
      !view.draining &&
      !c.network.isBlocked(r.id, c.leader!.id)
    )
  })
}
