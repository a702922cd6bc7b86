// One key's history: the polynomial check where it applies, the search otherwise.
import { checkClusters } from './clusters.js'
import { encode } from './encode.js'
import { search } from './search.js'
import type { Budget } from './search.js'
import type { Operation } from './history.js'

export type KeyResult =
  | { readonly verdict: 'ok' | 'unknown' }
  /** `hint`: operations among which the contradiction lies. */
  | { readonly verdict: 'illegal'; readonly hint: readonly Operation[] }

/** Checks the operations of one key. */
export function checkKey(own: readonly Operation[], budget: Budget): KeyResult {
  const h = encode(own)
  const clusters = checkClusters(h)
  if (typeof clusters === 'object')
    return { verdict: 'illegal', hint: clusters.offending.map((op) => h.operations[op]!) }
  if (clusters === 'ok' && !h.hasDiffers) return { verdict: 'ok' }
  const result = search(h, budget)
  if (result.verdict !== 'illegal') return { verdict: result.verdict }
  const end = h.returns[result.stuckAt]!
  return { verdict: 'illegal', hint: h.operations.filter((o) => isKnownAt(o, end)).map((o) => cutAt(o, end)) }
}

// Reads and failed comparisons that were not answered yet on line `end` say nothing.
function isKnownAt({ f, outcome, invoked, completed }: Operation, end: number): boolean {
  return completed <= end || (invoked < end && f !== 'read' && outcome !== 'fail')
}

/** What was known of an operation on line `end`: what was answered later is still open. */
function cutAt(operation: Operation, end: number): Operation {
  return operation.completed <= end ? operation : { ...operation, outcome: 'open', completed: Infinity }
}
