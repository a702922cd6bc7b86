// The general check: Wing and Gong's search with Lowe's memory of configurations, just in time (Lowe, "Testing for linearizability",
// 2017; Horn and Kroening's P-compositionality). Events are walked in order; a mutation takes effect only when the answer at hand
// demands it. What keeps the tree thin, each without losing an answer:
//   - a read (or failed comparison) takes effect as soon as the state satisfies it;
//   - a write that nobody sees is put right before another write: once some write took effect while it was pending, it may be dropped;
//   - of equal mutations the one that is answered first goes first, open ones last;
//   - a write or an open mutation takes effect only for something that sees it;
//   - a state is not left while something asks for it and nothing can make it again in time.
import { CAS, DIFFERS, READ, WRITE, after, makes } from './encode.js'
import type { Encoded } from './encode.js'
import { Classes } from './classes.js'
import { Configuration, FRESH, UNSEEN } from './configuration.js'
import { Demand } from './demand.js'

export type SearchResult =
  | { readonly verdict: 'ok' | 'unknown' }
  /** `stuckAt`: the operation whose answer could not be explained, however far the search came. */
  | { readonly verdict: 'illegal'; readonly stuckAt: number }

/** Says whether there is time left; asked every thousand steps. */
export type Budget = () => boolean

/** Configurations remembered at the most; beyond that the search goes on without remembering more. */
const MAX_REMEMBERED = 2_000_000
/** The move that drops the waiting mutation as unseen. */
const DROP = -1

/** A configuration to come back to. Moves of open operations are only looked for when the others failed. */
interface Choice {
  readonly mark: number
  readonly waiting: number
  moves: readonly number[]
  next: number
  triedOpen: boolean
  remembered: boolean
}

export function search(h: Encoded, budget: Budget): SearchResult {
  // Where comparisons failed, what is done at once is only nearly always best: such a first pass can find an order, not refute one.
  const first = pass(h, budget, true)
  return h.hasDiffers && first.verdict === 'illegal' ? pass(h, budget, false) : first
}

function pass(h: Encoded, budget: Budget, commit: boolean): SearchResult {
  const classes = new Classes(h)
  const demand = new Demand(h, classes)
  const c = new Configuration(h, classes)
  const seen = new Set<string>()
  const choices: Choice[] = []
  let stuckAt = -1
  let stuckPosition = -1
  // False when this configuration was explored before.
  const remember = (choice: Choice): boolean => {
    if (choice.remembered) return true
    choice.remembered = true
    const key = c.key()
    if (seen.has(key)) return false
    if (seen.size < MAX_REMEMBERED) seen.add(key)
    return true
  }
  for (let steps = 1; ; steps++) {
    if (steps % 1024 === 0 && !budget()) return { verdict: 'unknown' }
    const waiting = c.advance()
    if (waiting < 0) return { verdict: 'ok' }
    if (c.position > stuckPosition) {
      stuckPosition = c.position
      stuckAt = waiting
    }
    const forced = commit ? forcedMove(h, c, demand, waiting) : -1
    const moves = forced >= 0 ? [forced] : movesOf(h, c, demand, classes, waiting, commit)
    const entered: Choice = { mark: c.mark(), waiting, moves, next: 0, triedOpen: forced >= 0, remembered: false }
    if (moves.length < 2 || remember(entered)) choices.push(entered)
    for (;;) {
      const choice = choices[choices.length - 1]
      if (choice === undefined) return { verdict: 'illegal', stuckAt }
      if (choice.next === choice.moves.length) {
        c.undoTo(choice.mark)
        if (choice.triedOpen || !remember(choice)) {
          choices.pop()
          continue
        }
        choice.triedOpen = true
        choice.next = 0
        choice.moves = openMovesOf(h, c, demand, classes, choice.waiting)
        continue
      }
      c.undoTo(choice.mark)
      const move = choice.moves[choice.next++]!
      if (move === DROP) c.drop(choice.waiting)
      else c.apply(move)
      break
    }
  }
}

/**
 * A write that may as well take effect now, whatever comes: its readers wait, nobody else can use its value, and the next mutation is a
 * write anyway. -1 when there is none.
 */
function forcedMove(h: Encoded, c: Configuration, demand: Demand, waiting: number): number {
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
function movesOf(
  h: Encoded,
  c: Configuration,
  demand: Demand,
  classes: Classes,
  waiting: number,
  commit: boolean,
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
  for (const op of firstOfClass.values()) {
    const to = after(h, op, c.state)
    // A write after an unseen one makes that one droppable; this order is tried without it.
    if (to < 0 || (c.phase === UNSEEN && h.kind[op] === WRITE)) continue
    if (to === c.state ? !c.wouldHide(op, op === waiting) : !mayLeave(op, to)) continue
    if (op !== waiting && h.kind[op] === WRITE && !c.wouldBeSeen(op, to)) continue
    ranked.push([op, rankOf(h, c, waiting, op, to)])
  }
  if (ranked.length > 1) ranked.sort((x, y) => x[1] - y[1])
  return ranked.map(([op]) => op)
}

function isUseless(h: Encoded, c: Configuration, demand: Demand, waiting: number): boolean {
  const made = makes(h, waiting)
  if (h.states.appends || made === c.state || c.phase !== FRESH) return false
  return !c.isRead(made) && !demand.isWorthKeeping(c, waiting, h.returns[waiting]!)
}

// Writes whose readers stand waiting are done with first; then what the answer at hand asks for; then the rest.
function rankOf(h: Encoded, c: Configuration, waiting: number, op: number, to: number): number {
  const kind = h.kind[waiting]
  if ((kind === READ || kind === CAS) && h.a[waiting] === to) return 1.5
  if (op === waiting) return 2
  return makes(h, op) >= 0 && c.isAskedNow(to) ? 1 : 3
}

/** Which open operations may take effect next: those that something pending would see. */
function openMovesOf(h: Encoded, c: Configuration, demand: Demand, classes: Classes, waiting: number): number[] {
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
