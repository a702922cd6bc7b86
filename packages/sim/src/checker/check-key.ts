// One key's history: the polynomial check where it is known who made what each operation found, the search otherwise.
import { checkBlocks } from './blocks.js'
import { encode } from './encode.js'
import type { Encoded } from './encode.js'
import { search } from './search.js'
import type { Budget } from './search.js'
import { uniqueSources } from './sources.js'
import { foundUnmade } from './unmade.js'
import { findWitness } from './witness.js'
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
  const known = bySources(h)
  if (known === 'ok') return { verdict: 'ok' }
  if (known !== undefined) return { verdict: 'illegal', among: known.map((op) => h.operations[op]!), notBefore: 0 }
  const unmade = foundUnmade(h)
  if (unmade !== undefined) {
    const among = unmade.alone ? [h.operations[unmade.op]!] : []
    return { verdict: 'illegal', among, notBefore: h.calls[unmade.op]! }
  }
  const result = search(h, budget)
  if (result.verdict !== 'illegal') return { verdict: result.verdict }
  return { verdict: 'illegal', among: [], notBefore: h.returns[result.stuckAt]! }
}

// The operations that contradict each other, or undefined when this way of looking does not decide.
function bySources(h: Encoded): 'ok' | readonly number[] | undefined {
  const sources = uniqueSources(h)
  if (sources === undefined) return undefined
  if ('offending' in sources) return sources.offending
  const result = checkBlocks(h, sources)
  if ('offending' in result) return result.offending
  return !h.hasDiffers || findWitness(h, result.blocks, result.following) ? 'ok' : undefined
}
