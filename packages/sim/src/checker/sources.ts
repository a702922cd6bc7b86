// Who made what each operation found. Where every value that is asked for can have come from one operation only, this is known without
// any search: the source of a read or a comparison is the writer of its value, that of an append the operation before it in
// the text that somebody read.
import { ABSENT, CAS, DEAD, DEAD_OTHER, INITIAL, NONE, READ, makes } from './encode.js'
import type { Encoded } from './encode.js'
import { TextChains } from './text-chains.js'

export interface Sources {
  /** For each operation the one that made what it found, INITIAL or NONE. */
  readonly of: Int32Array
  /** 1: it took effect, because it was answered or because something that was answered needs it. */
  readonly required: Uint8Array
}

/** Sources of a history in which they are unique; what cannot be explained by any; or undefined when there is a choice. */
export function uniqueSources(h: Encoded): Sources | { readonly offending: readonly number[] } | undefined {
  const writerOf = new Map<number, number>()
  for (let op = 0; op < h.n; op++) {
    const made = makes(h, op)
    if (made < 0 || made === DEAD || made === DEAD_OTHER) continue
    if (writerOf.has(made) || made === ABSENT) return undefined
    writerOf.set(made, op)
  }
  const of = new Int32Array(h.n).fill(NONE)
  if (h.states.appends) {
    const chains = new TextChains(h, writerOf)
    if (!chains.follow()) return undefined
    if (chains.offending !== undefined) return { offending: chains.offending }
    for (const [op, source] of chains.sources) of[op] = source
    for (const [state, op] of chains.makers) writerOf.set(state, op)
  }
  for (let op = 0; op < h.n; op++) {
    if (h.kind[op] !== READ && h.kind[op] !== CAS) continue
    const wants = h.a[op]!
    const source = wants === ABSENT ? INITIAL : writerOf.get(wants)
    if (source !== undefined) of[op] = source
    // An open cas whose old value nobody wrote never took effect; anything answered contradicts.
    else if (h.returns[op] !== Infinity) return h.states.appends ? undefined : { offending: [op] }
  }
  return { of, required: requiredOps(h, of) }
}

// Everything answered, and the open sources of what is required.
function requiredOps(h: Encoded, of: Int32Array): Uint8Array {
  const required = new Uint8Array(h.n)
  const queue: number[] = []
  const need = (op: number): void => {
    if (op < 0 || required[op] === 1) return
    required[op] = 1
    queue.push(op)
  }
  for (let op = 0; op < h.n; op++) if (h.returns[op] !== Infinity) need(op)
  for (let op = queue.pop(); op !== undefined; op = queue.pop()) need(of[op]!)
  return required
}
