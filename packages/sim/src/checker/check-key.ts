// One key's history: the polynomial check where it applies, the search otherwise.
import { checkClusters } from './clusters.js'
import { encode } from './encode.js'
import { search } from './search.js'
import type { Budget } from './search.js'
import type { Operation } from './history.js'

export type KeyResult =
  | { readonly verdict: 'ok' | 'unknown' }
  | {
      readonly verdict: 'illegal'
      /** Operations that contradict each other; empty when the search gives no such hint. */
      readonly among: readonly Operation[]
      /** No contradiction lies wholly before this line. */
      readonly notBefore: number
    }

/** Checks the operations of one key. */
export function checkKey(own: readonly Operation[], budget: Budget): KeyResult {
  const h = encode(own)
  const clusters = checkClusters(h)
  if (typeof clusters === 'object')
    return { verdict: 'illegal', among: clusters.offending.map((op) => h.operations[op]!), notBefore: 0 }
  if (clusters === 'ok' && !h.hasDiffers) return { verdict: 'ok' }
  const result = search(h, budget)
  if (result.verdict !== 'illegal') return { verdict: result.verdict }
  return { verdict: 'illegal', among: [], notBefore: h.returns[result.stuckAt]! }
}
