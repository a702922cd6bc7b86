// The general check: Wing and Gong's search with Lowe's memory of configurations, just in time (Lowe, "Testing for linearizability",
// 2017; Horn and Kroening's P-compositionality). Events are walked in order; a read takes effect as soon as the state satisfies it, a
// mutation only when the answer at hand demands it (moves.ts).
import type { Encoded } from './encode.js'
import { Classes } from './classes.js'
import { Configuration } from './configuration.js'
import { Demand } from './demand.js'
import { findOrder } from './find-order.js'
import { DROP, forcedMove, movesOf, openMovesOf } from './moves.js'

export type SearchResult =
  | { readonly verdict: 'ok' | 'unknown' }
  /** `stuckAt`: the operation whose answer could not be explained, however far the search came. */
  | { readonly verdict: 'illegal'; readonly stuckAt: number }

/** Says whether there is time left; asked every thousand steps. */
export type Budget = () => boolean

/** Configurations remembered at the most; beyond that the search goes on without remembering more. */
const MAX_REMEMBERED = 2_000_000
/** Steps of the exhaustive search before an order is looked for by guessing, and by how much they grow each time. */
const FIRST_STEPS = 100_000
const STEPS_GROWTH = 4

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
  for (let round = 1, steps = FIRST_STEPS; ; round++, steps *= STEPS_GROWTH) {
    const result = exhaust(h, budget, !h.hasDiffers, steps)
    if (result.verdict !== 'unknown' || !budget()) return result
    if (findOrder(h, budget, round)) return { verdict: 'ok' }
  }
}

/** `commit`: what is nearly always best is not varied; where comparisons failed that would lose answers. */
function exhaust(h: Encoded, budget: Budget, commit: boolean, maxSteps: number): SearchResult {
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
    if (steps > maxSteps || (steps % 1024 === 0 && !budget())) return { verdict: 'unknown' }
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
