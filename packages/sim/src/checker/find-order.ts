// Looks for an order by guessing: goes on until it is stuck, then back a while and on by other random choices, further back each time it
// does not help. Can only find an order, never refute one; where thousands of operations overlap it finds one long before an
// exhaustive search has left the first dead end.
import type { Encoded } from './encode.js'
import { Classes } from './classes.js'
import { Configuration } from './configuration.js'
import { Demand } from './demand.js'
import { DROP, forcedMove, movesOf, openMovesOf } from './moves.js'
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

interface Choice {
  readonly mark: number
  readonly position: number
  readonly waiting: number
  moves: number[]
  triedOpen: boolean
}

/** True when an order was found. */
export function findOrder(h: Encoded, budget: Budget): boolean {
  const classes = new Classes(h)
  const demand = new Demand(h, classes)
  const c = new Configuration(h, classes)
  const random = newRandom()
  const choices: Choice[] = []
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
    const noise = weight === 0 ? undefined : (): number => random() * weight
    const forced = random() < 0.9 ? forcedMove(h, c, demand, waiting) : -1
    const moves = forced >= 0 ? [forced] : movesOf(h, c, demand, classes, waiting, true, noise)
    if (moves.length === 0 || (weight > 0 && random() < 0.05))
      moves.unshift(...shuffled(openMovesOf(h, c, demand, classes, waiting), random))
    choices.push({
      mark: c.mark(),
      position: c.position,
      waiting,
      moves: moves.reverse(),
      triedOpen: moves.length === 0,
    })
    const move = nextMove(choices, c)
    if (--left <= 0 || move === undefined) {
      if (++attempts > MAX_ATTEMPTS) return false
      back = back > MAX_BACK ? FIRST_BACK : back * BACK_GROWTH
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
function newRandom(): () => number {
  let x = 0x2545_f491
  return () => {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    return (x >>> 0) / 0x1_0000_0000
  }
}
