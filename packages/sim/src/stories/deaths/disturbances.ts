// What else may happen to the arrows of a change: they are lost, come twice and late, or another operator wants something else meanwhile;
// and the log that is being learned is cut where it is read.
import type { NodeId } from '@coppice/protocol'
import type { Plan } from '../../plan.js'
import { ARROWS } from './arrows.js'
import type { Arrow } from './arrows.js'
import { KINDS } from './kinds.js'
import type { Kind } from './kinds.js'
import { watchedChange } from './watched-change.js'
import type { Change, WatchedChange } from './watched-change.js'
import type { Fate, Passing } from './wire.js'

/** One message that does not come as it should. */
export interface Disturbance extends WatchedChange {
  readonly arrow: Arrow
  /** Whatever the kind and the arrow. */
  readonly disturbance: string
}

/** Within a change, after it, and after the next one. */
const LATE_MS = [30, 300, 1_500]
/** Into a learner's work. */
const SOURCE_DIES_MS = [0, 150, 400]

/** Every arrow of every kind of change. */
function each(
  disturbance: string,
  watch: (change: Change, arrow: Arrow) => (passing: Passing) => Fate,
  plan: Partial<Plan> = {},
): Disturbance[] {
  return KINDS.flatMap((kind) =>
    ARROWS.filter((arrow) => !kind.without.includes(arrow)).map((arrow) => {
      const told = watchedChange(`${kind.name}: ${arrow} ${disturbance}`, kind, (change) => watch(change, arrow), plan)
      return { ...told, arrow, disturbance }
    }),
  )
}

/** The learner's disk is slow, so that the log is cut behind snapshots before it has all of it; and the next source has another snapshot. */
function logIsCutWhileLearned(kind: Kind, ms: number): Disturbance {
  const watch = ({ c, cast, arrows, happened }: Change): ((passing: Passing) => Fate) => {
    let told = false
    for (const r of c.replicas) if (!cast.prev.includes(r.id)) r.disk.slowness = 40
    return ({ message }) => {
      if (told || arrows.arrowOf(message) !== 'learn') return undefined
      told = true
      const source = c.replicas.find((r) => r.id === arrows.source)
      c.kernel.after(ms, () => {
        source?.crash()
        happened()
      })
      return undefined
    }
  }
  const name = `${kind.name}: the log is cut while it is learned, its source dies after ${ms} ms`
  const told = watchedChange(name, kind, watch, { snapshotEveryBytes: 1_500, minLogBytesKept: 0 })
  return { ...told, arrow: 'learn', disturbance: 'from a short log whose source dies' }
}

/** Every message of every kind of change is lost, late or repeated. */
export const DISTURBANCES: readonly Disturbance[] = [
  // The first copy to each machine, and the first answer of each.
  ...each('is lost, and its answer', ({ arrows, happened }, arrow) => {
    const toldOf = new Set<NodeId>()
    const answers = new Set<NodeId>()
    return ({ seen, from, to, message }) => {
      if (seen !== 'leaving') return undefined
      const is = arrows.arrowOf(message) === arrow
      if (!is && !arrows.answers(arrow, message)) return undefined
      const [once, who] = is ? [toldOf, to] : [answers, from]
      if (once.has(who)) return undefined
      once.add(who)
      happened()
      return 'lost'
    }
  }),
  // Each copy and each answer, in whatever order, also at machines that were started again.
  ...each(
    'comes again, late',
    ({ arrows, happened }, arrow) =>
      ({ seen, message }) => {
        const is = arrows.arrowOf(message) === arrow || arrows.answers(arrow, message)
        if (!is || seen !== 'leaving') return undefined
        happened()
        return { againAfterMs: LATE_MS }
      },
    { acrossRestarts: true, fifo: false },
  ),
  // A hand-over and a reconfiguration are asked for while the first change is at that arrow.
  ...each('meets another operator', ({ c, n, arrows, happened }, arrow) => {
    let asked = false
    return ({ message }) => {
      if (asked || arrows.arrowOf(message) !== arrow) return undefined
      asked = true
      c.kernel.after(0, () => n.inject('twoOperators'))
      happened()
      return undefined
    }
  }),
  ...KINDS.filter((kind) => !kind.without.includes('learn')).flatMap((kind) =>
    SOURCE_DIES_MS.map((ms) => logIsCutWhileLearned(kind, ms)),
  ),
]
