// Looks for an order by guessing: goes on until it is stuck, then back a while and on by other random choices, further back each time it
// does not help. Can only find an order, never refute one; where thousands of operations overlap it finds one long before an
// exhaustive search has left the first dead end.
import { CAS, READ, after } from './encode.js'
import type { Encoded } from './encode.js'
import { Classes } from './classes.js'
import { Configuration } from './configuration.js'
import { Demand } from './demand.js'
import { DROP, forcedMove, movesOf, openMovesOf } from './moves.js'
import type { Noise } from './moves.js'
import type { Budget } from './search.js'

/** Events to go back: at first, how much more each time it did not help, and at the most; then it begins anew. */
const FIRST_BACK = 40
const BACK_GROWTH = 1.04
const MAX_BACK = 800
/** Attempts at one place, and steps of each beyond the events it has to walk. */
const MAX_ATTEMPTS = 1_500
const EXTRA_STEPS = 600
/** How much chance weighs against the ranks of moves. */
const MIN_NOISE = 0.3
const MAX_NOISE = 3

/** How often only the move is tried that is nearly always best. */
const COMMIT = 0.8
/** How often what is open goes before what is answered: more with every attempt. */
const MOST_OPEN = 0.3
const MOST_OPEN_AFTER = 300

/** What an operation that could not be explained gains in rank each time, and at the most. */
const URGENCY = 0.1
const MAX_URGENCY = 3
const MAX_URGENT = 60_000

interface Choice {
  readonly mark: number
  readonly position: number
  readonly waiting: number
  moves: number[]
  triedOpen: boolean
}

/** True when an order was found. A later `round` takes other ways, tries longer and goes further back. */
export function findOrder(h: Encoded, budget: Budget, round = 1): boolean {
  const classes = new Classes(h)
  // What is open is used for what nothing else explains.
  const strict = new Demand(h, classes, true)
  const lenient = new Demand(h, classes)
  const c = new Configuration(h, classes)
  const random = newRandom(round)
  const choices: Choice[] = []
  // How often each operation could not be explained: next time it is seen to earlier.
  const urgency = new Uint16Array(h.n)
  let furthest = -1
  let attempts = 0
  let back = FIRST_BACK
  let left = EXTRA_STEPS
  for (let steps = 1; ; steps++) {
    if (steps % 1024 === 0 && !budget()) return false
    const waiting = c.advance()
    if (waiting < 0) return true
    if (c.position > furthest) {
      furthest = c.position
      attempts = 0
      back = FIRST_BACK
      left = EXTRA_STEPS
    }
    const weight = attempts === 0 ? 0 : Math.min(MIN_NOISE + attempts / 100, MAX_NOISE)
    const noise: Noise | undefined =
      weight === 0
        ? undefined
        : (op, to) => random() * weight - Math.min(urgencyOf(h, c, urgency, op, to) * URGENCY, MAX_URGENCY)
    // What is nearly always best is not always: where comparisons failed, or where what is open must be counted on.
    const commit = weight === 0 || random() < COMMIT
    const forced = commit ? forcedMove(h, c, strict, waiting) : -1
    const moves = forced >= 0 ? [forced] : movesOf(h, c, strict, classes, waiting, commit, noise)
    const early = weight > 0 && random() < Math.min(attempts / MOST_OPEN_AFTER, MOST_OPEN)
    if (moves.length === 0 || early) {
      const open = shuffled(openMovesOf(h, c, lenient, classes, waiting), random)
      open.sort((x, y) => serves(h, c, waiting, x) - serves(h, c, waiting, y))
      if (early) moves.unshift(...open.splice(0, 1))
      moves.push(...open)
      moves.push(...movesOf(h, c, lenient, classes, waiting, commit, noise).filter((op) => !moves.includes(op)))
    }
    choices.push({
      mark: c.mark(),
      position: c.position,
      waiting,
      moves: moves.reverse(),
      triedOpen: moves.length === 0,
    })
    if (moves.length === 0 && urgency[waiting]! < MAX_URGENT) urgency[waiting]!++
    const move = nextMove(choices, c)
    if (--left <= 0 || move === undefined) {
      if (++attempts > MAX_ATTEMPTS * round) return false
      back = back > MAX_BACK * round ? FIRST_BACK : back * BACK_GROWTH
      left = EXTRA_STEPS + 2 * back
      const target = furthest - back * (0.2 + random())
      while (choices.length > 1 && choices[choices.length - 1]!.position > target) choices.pop()
      if (choices.length === 0) c.undoTo(0)
      else c.undoTo(choices.pop()!.mark)
      continue
    }
    if (move === DROP) c.drop(choices[choices.length - 1]!.waiting)
    else c.apply(move)
  }
}

// Of the operation itself and of those that would see what it makes.
function urgencyOf(h: Encoded, c: Configuration, urgency: Uint16Array, op: number, to: number): number {
  let most = op >= 0 ? urgency[op]! : 0
  for (let other = c.after(c.end); other !== c.end; other = c.after(other))
    if ((h.kind[other] === READ || h.kind[other] === CAS) && h.a[other] === to) most = Math.max(most, urgency[other]!)
  return most
}

// 0 for what explains the answer at hand directly.
function serves(h: Encoded, c: Configuration, waiting: number, op: number): number {
  const wants = h.kind[waiting] === READ || h.kind[waiting] === CAS ? h.a[waiting] : -1
  return after(h, op, c.state) === wants ? 0 : 1
}

// The next move to try at the newest choice that has one, with the configuration brought back to it.
function nextMove(choices: Choice[], c: Configuration): number | undefined {
  for (let choice = choices[choices.length - 1]; choice !== undefined; choice = choices[choices.length - 1]) {
    c.undoTo(choice.mark)
    const move = choice.moves.pop()
    if (move !== undefined) return move
    choices.pop()
  }
  return undefined
}

function shuffled(moves: number[], random: () => number): number[] {
  for (let i = moves.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[moves[i], moves[j]] = [moves[j]!, moves[i]!]
  }
  return moves
}

// The same history always takes the same way.
function newRandom(round: number): () => number {
  let x = 0x2545_f491 ^ round
  return () => {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    return (x >>> 0) / 0x1_0000_0000
  }
}
