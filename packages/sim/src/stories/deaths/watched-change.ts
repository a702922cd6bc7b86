// One change under load, watched arrow by arrow. The group must go on by itself before everything heals: all members there, nothing being
// changed, writes acknowledged.
import type { NodeId } from '@coppice/protocol'
import type { Cluster } from '../../cluster.js'
import { check } from '../../kernel/violation.js'
import type { Nemesis } from '../../nemesis.js'
import type { Plan } from '../../plan.js'
import { story } from '../tell.js'
import type { Story } from '../tell.js'
import { Arrows } from './arrows.js'
import type { Cast, Kind } from './kinds.js'
import { watchWire } from './wire.js'
import type { Fate, Passing } from './wire.js'
import { WriteGap } from './write-gap.js'

/** The first epoch runs by then. */
const BEGIN_MS = 1_500
/** Latest end of the faults; most runs have gone on long before. */
const HEAL_MS = 16_000
/** Everybody must have been there for so long. */
const CALM_MS = 250

/** What a story sees of its change. */
export interface Change {
  readonly c: Cluster
  readonly n: Nemesis
  readonly kind: Kind
  readonly cast: Cast
  readonly arrows: Arrows
  /** The story's own part is over: what remains is that the group goes on. */
  happened(): void
}

/** One change under load, disturbed in one way. */
export interface WatchedChange extends Story {
  readonly kind: Kind['name']
  /** Longest time without an acknowledged write in the run told last, ms. */
  gapMs(): number
}

export function watchedChange(
  name: string,
  kind: Kind,
  watch: (change: Change) => (passing: Passing) => Fate,
  plan: Partial<Plan> = {},
): WatchedChange {
  let gap: WriteGap | undefined
  const begin = (c: Cluster, n: Nemesis): void => {
    const newest = c.oracle.registers.newest
    check(newest?.epoch === 1, 'story', () => `${name}: the first epoch does not run`)
    const prev = newest!.members
    const cast: Cast = { prev, next: kind.next(c, prev) }
    let happened = false
    const change: Change = {
      c,
      n,
      kind,
      cast,
      arrows: new Arrows(newest!),
      happened: () => {
        if (!happened) whenCalm(c, () => c.healNow())
        happened = true
      },
    }
    const look = watch(change)
    watchWire(c, (passing) => (c.healed ? undefined : look(passing)))
    c.kernel.at(HEAL_MS - 1, () => {
      check(happened, 'story', () => `${name}: this never happened`)
      check(c.healed, 'I10', () => `${name}: the group does not go on by itself`)
    })
    gap!.start()
    kind.begin(c, cast)
  }
  const play: Story['play'] = (c, n) => {
    gap = new WriteGap(c)
    c.kernel.at(BEGIN_MS, () => begin(c, n))
  }
  const told = story(name, play, {
    spares: kind.spares,
    healMs: HEAL_MS,
    thinkMs: 15,
    silences: 0,
    clients: 4,
    keys: 3,
    ...plan,
  })
  return { ...told, kind: kind.name, gapMs: () => gap?.longestMs ?? 0 }
}

/** Calls `act` once the group has gone on, and that lasted a while. */
function whenCalm(c: Cluster, act: () => void): void {
  let since = c.kernel.now
  const look = (): void => {
    if (c.healed) return
    if (!isCalm(c)) since = c.kernel.now
    if (c.kernel.now - since >= CALM_MS) return act()
    c.kernel.after(5, look)
  }
  look()
}

function isCalm(c: Cluster): boolean {
  const { leader } = c
  const { epoch, members } = c.oracle.registers.newest!
  if (leader === undefined || leader.view?.attempt !== undefined || members.length < c.plan.wanted) return false
  const serves = (id: NodeId): boolean => {
    const view = c.replicas.find((r) => r.id === id)?.view
    const heard = !c.network.isBlocked(id, leader.id)
    return heard && view?.activated === true && view.meta.epoch === epoch && !view.draining
  }
  return c.primary !== undefined && members.every(serves)
}
