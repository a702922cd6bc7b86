// The table of deaths: in each kind of change each machine that has a part in it falls at each arrow, before and after. The group must go
// on by itself, with that machine gone until everything heals; all invariants are watched, as in every story.
import type { NodeId } from '@coppice/protocol'
import type { Host } from '../../hosts/host.js'
import { ReplicaHost } from '../../hosts/replica-host.js'
import { check } from '../../kernel/violation.js'
import { cutOff } from '../tell.js'
import { ARROWS } from './arrows.js'
import type { Arrow } from './arrows.js'
import { KINDS, reaches, VICTIMS, victimOf } from './kinds.js'
import type { Kind, Victim } from './kinds.js'
import { watchedChange } from './watched-change.js'
import type { Change, WatchedChange } from './watched-change.js'
import type { Passing } from './wire.js'

/** The arrow is about to be sent; is in flight; has arrived, and what it asks for may be durable or not; is about to be answered. */
const MOMENTS = ['unsent', 'sent', 'arrived', 'done'] as const
/** When on the way of the arrow the machine falls. */
export type Moment = (typeof MOMENTS)[number]

/** How a machine falls. `returns`: the primary whose death began a failover is back at that moment. */
const FALLS = ['dies', 'dies with the controller', 'is cut off', 'loses its disk', 'returns'] as const
/** How it falls. */
export type Fall = (typeof FALLS)[number]

/** One machine that falls at one arrow of one kind of change. */
export interface Death extends WatchedChange {
  readonly victim: Victim
  readonly arrow: Arrow
  readonly moment: Moment
  readonly fall: Fall
}

/** A machine without which there would be fewer than minReplicas comes back after this long, and one whose disk is lost. */
const AWAY_MS = 700

/** Every machine falls at every arrow of every kind of change. */
export const DEATHS: readonly Death[] = KINDS.flatMap((kind) =>
  VICTIMS.flatMap((victim) =>
    ARROWS.filter((arrow) => !kind.without.includes(arrow)).flatMap((arrow) =>
      MOMENTS.flatMap((moment) =>
        FALLS.filter((fall) => falls(kind, victim, fall)).map((fall) => death(kind, victim, arrow, moment, fall)),
      ),
    ),
  ),
)

/** A failover has used up the one machine the group can do without: its old primary is dead, and no further disk may be lost. */
function falls({ name }: Kind, victim: Victim, fall: Fall): boolean {
  if (name === 'failover' && victim === 'oldPrimary') return fall === 'returns'
  if (fall === 'returns') return false
  if (victim === 'controller') return fall === 'dies' || fall === 'is cut off'
  return fall !== 'loses its disk' || name !== 'failover'
}

function death(kind: Kind, victim: Victim, arrow: Arrow, moment: Moment, fall: Fall): Death {
  const told = watchedChange(`${kind.name}: ${victim} ${fall} at ${arrow}, ${moment}`, kind, (change) => {
    let fallen = false
    return (passing) => {
      if (fallen || !isMoment(change, passing, arrow, moment, victim)) return undefined
      fallen = true
      const id = victimOf(victim, change)
      const host = change.c.hosts.find((h) => h.id === id)
      check(host !== undefined, 'story', () => `there is no ${victim} at ${arrow}`)
      bringDown(change, host!, fall)
      change.happened()
      return undefined
    }
  })
  return { ...told, victim, arrow, moment, fall }
}

/** Whether this is the moment: of the arrow that goes to the victim if one does, else of any. */
function isMoment(
  change: Change,
  { seen, from, to, message }: Passing,
  arrow: Arrow,
  moment: Moment,
  victim: Victim,
): boolean {
  const { arrows } = change
  const is = arrows.arrowOf(message) === arrow
  if (moment === 'done' ? !(seen === 'leaving' && arrows.answers(arrow, message)) : !(is && seen === SEEN[moment]))
    return false
  const id = victimOf(victim, change)
  if (id === undefined || !isAlive(change, id) || !reaches(arrow, id, change)) return true
  return id === (moment === 'done' ? from : to)
}
const SEEN = { unsent: 'leaving', sent: 'inFlight', arrived: 'arrived' } as const

function isAlive({ c }: Change, id: NodeId): boolean {
  return c.hosts.some((h) => h.id === id && h.alive)
}

function bringDown({ c, kind }: Change, host: Host, fall: Fall): void {
  const comesBack = kind.name === 'failover' && host instanceof ReplicaHost
  switch (fall) {
    case 'dies':
    case 'dies with the controller':
      host.crash()
      if (fall !== 'dies') c.leader?.crash()
      if (comesBack) c.kernel.after(AWAY_MS, () => host.start())
      return
    case 'is cut off':
      cutOff(c, [host.id])
      if (comesBack) c.kernel.after(AWAY_MS, () => c.network.healAll())
      return
    case 'loses its disk':
      c.replicas.find((r) => r === host)?.wipe()
      c.kernel.after(AWAY_MS, () => host.start())
      return
    case 'returns':
      host.start()
      return
  }
}
