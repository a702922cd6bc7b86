// What may take effect next in a configuration, so that the answer at hand is explained in the end. What keeps the tree thin, each
// without losing an answer:
//   - a write that nobody sees is put right before another write: once some write took effect while it was pending, it may be dropped;
//   - of equal mutations the one that is answered first goes first, open ones last;
//   - a write or an open mutation takes effect only for something that sees it;
//   - a state is not left while something asks for it and nothing can make it again in time.
import { CAS, DIFFERS, READ, WRITE, after, makes } from './encode.js'
import type { Encoded } from './encode.js'
import type { Classes } from './classes.js'
import { FRESH, UNSEEN } from './configuration.js'
import type { Configuration } from './configuration.js'
import type { Demand } from './demand.js'

/** The move that drops the waiting mutation as unseen. */
export const DROP = -1

/** Changes the order of moves: added to the rank of each; `to` is the state that the operation makes, -1 for a drop. */
export type Noise = (op: number, to: number) => number

/**
 * A write that may as well take effect now, whatever comes: its readers wait, nobody else can use its value, and the next mutation is a
 * write anyway. -1 when there is none.
 */
export function forcedMove(h: Encoded, c: Configuration, demand: Demand, waiting: number): number {
  if (h.states.appends || c.phase === UNSEEN || c.discharged[waiting] === 1) return -1
  const now = h.returns[waiting]!
  let usable: boolean | undefined
  for (let op = c.after(c.end); op !== c.end; op = c.after(op)) {
    if (h.kind[op] !== WRITE || h.a[op] === c.state || !c.isRead(h.a[op]!)) continue
    usable ??= !demand.comparesFrom(c, c.state)
    if (!usable) return -1
    if (demand.isWorthKeeping(c, op, now) || !demand.leaving(c, now)(op, h.a[op]!)) continue
    return c.firstOfClass(op)
  }
  return -1
}

/** Which answered operations may take effect next so that `waiting` is explained in the end, the most promising first. */
export function movesOf(
  h: Encoded,
  c: Configuration,
  demand: Demand,
  classes: Classes,
  waiting: number,
  commit: boolean,
  noise?: Noise,
): number[] {
  const firstOfClass = new Map<number, number>()
  for (let op = c.after(c.end); op !== c.end; op = c.after(op)) {
    if (h.kind[op] === READ || h.kind[op] === DIFFERS) continue
    const other = firstOfClass.get(classes.of[op]!)
    if (other === undefined || h.returns[op]! < h.returns[other]!) firstOfClass.set(classes.of[op]!, op)
  }
  const ranked: [op: number, rank: number][] = []
  // Between two moves for the same answer only what changes nothing is dropped: the rest could have been dropped before them.
  const droppable = c.discharged[waiting] === 1 && (c.phase === FRESH || after(h, waiting, c.state) === c.state)
  if (droppable && demand.canDrop(c, waiting)) {
    // Nobody asks for its value, now or later: then it need not be seen.
    if (commit && isUseless(h, c, demand, waiting)) return [DROP]
    ranked.push([DROP, c.isAskedNow(makes(h, waiting)) ? 2.5 : 0])
  }
  const mayLeave = demand.leaving(c, h.returns[waiting]!)
  const until = holdOf(h, c, demand, waiting)
  for (const op of firstOfClass.values()) {
    const to = after(h, op, c.state)
    // A write after an unseen one makes that one droppable; this order is tried without it.
    if (to < 0 || (c.phase === UNSEEN && h.kind[op] === WRITE)) continue
    if (to === c.state ? !c.wouldHide(op, op === waiting) : !mayLeave(op, to)) continue
    if (op !== waiting && h.kind[op] === WRITE && !c.wouldBeSeen(op, to)) continue
    ranked.push([op, rankOf(h, c, waiting, op, to, until)])
  }
  if (noise !== undefined)
    for (const entry of ranked) entry[1] += noise(entry[0], entry[0] === DROP ? -1 : after(h, entry[0], c.state))
  if (ranked.length > 1) ranked.sort((x, y) => x[1] - y[1])
  return ranked.map(([op]) => op)
}

function isUseless(h: Encoded, c: Configuration, demand: Demand, waiting: number): boolean {
  const made = makes(h, waiting)
  if (h.states.appends || made === c.state || c.phase !== FRESH) return false
  return !c.isRead(made) && !demand.isWorthKeeping(c, waiting, h.returns[waiting]!)
}

// What the answer at hand asks for goes first, but before that what must be done while the state that it makes has to stay; whatever else
// can be done later may be of more use then.
function rankOf(h: Encoded, c: Configuration, waiting: number, op: number, to: number, until: number): number {
  const kind = h.kind[waiting]
  if ((kind === READ || kind === CAS) && h.a[waiting] === to) return 1.5
  if (op === waiting) return 2
  const asked = makes(h, op) >= 0 ? c.askedBefore(to) : Infinity
  return asked <= until ? 1 : asked < Infinity ? 2.8 : 3
}

// Until when the state has to stay that explains the answer at hand.
function holdOf(h: Encoded, c: Configuration, demand: Demand, waiting: number): number {
  const kind = h.kind[waiting]
  const now = h.returns[waiting]!
  if (kind === DIFFERS || h.states.appends) return now
  return demand.holdUntil(c, kind === READ ? h.a[waiting]! : makes(h, waiting), now, waiting)
}

/** Which open operations may take effect next: those that something pending would see. */
export function openMovesOf(h: Encoded, c: Configuration, demand: Demand, classes: Classes, waiting: number): number[] {
  const mayLeave = demand.leaving(c, h.returns[waiting]!)
  const candidates = new Set<number>(classes.openCasFrom.get(c.state) ?? [])
  for (const id of classes.openAppends) candidates.add(id)
  if (c.phase !== UNSEEN) {
    let any = h.states.appends
    for (let op = c.after(c.end); op !== c.end; op = c.after(op)) {
      const id = classes.openWriteTo.get(h.a[op]!)
      if (h.kind[op] === DIFFERS) any = true
      else if (id !== undefined) candidates.add(id)
    }
    const same = classes.openWriteTo.get(c.state)
    if (same !== undefined) candidates.add(same)
    for (const [from] of classes.openCasFrom) {
      const id = classes.openWriteTo.get(from)
      if (id !== undefined) candidates.add(id)
    }
    if (any) for (const id of classes.openWriteTo.values()) candidates.add(id)
  }
  const moves: number[] = []
  for (const id of candidates) {
    if (c.openLeft[id] === 0) continue
    const op = classes.openSample[id]!
    const to = after(h, op, c.state)
    if (to < 0 || (to === c.state ? !c.wouldHide(op, false) : !mayLeave(op, to))) continue
    if (c.wouldBeSeen(op, to)) moves.push(op)
  }
  return moves
}
