// Lineage: which epoch wrote which part of a log (PROTOCOL 5). Sorted by epoch; an epoch that wrote nothing has the same start
// as its successor.
import type { Epoch, Index } from './ids.js'

/** [epoch, start]: entries from `start` up to the next element's start were written in `epoch`. */
export type LineageEntry = readonly [epoch: Epoch, start: Index]
/** Epochs of a log, ascending, each with the index at which it begins. */
export type Lineage = readonly LineageEntry[]

/** Lineage of a freshly formatted store: the genesis entry 0 belongs to epoch 0. */
export const GENESIS_LINEAGE: Lineage = [[0, 0]]
/** nextIndex of a freshly formatted store: below it is only the genesis entry. */
export const GENESIS_NEXT: Index = 1

/** Epoch of the entry at `index`; -1 when the lineage begins above it. */
export function epochAt(lineage: Lineage, index: Index): Epoch {
  for (let i = lineage.length - 1; i >= 0; i--) {
    const [epoch, start] = lineage[i]!
    if (start <= index) return epoch
  }
  return -1
}

/** The last element, or [-1, 0] of an empty lineage. */
export function lastOf(lineage: Lineage): LineageEntry {
  return lineage.length === 0 ? [-1, 0] : lineage[lineage.length - 1]!
}
