// How steady a throughput was: by how much its worst second falls below the median, and for how long it stayed below half of it.
import { median } from '../base/stats.js'

export interface Steadiness {
  readonly medianPerSecond: number
  readonly minPerSecond: number
  readonly maxPerSecond: number
  /** Which second was the worst, and its share of the median that was missing. */
  readonly worstSecond: number
  readonly largestDip: number
  /** Seconds in a row below half of the median, at the most. */
  readonly longestBelowHalf: number
}

export function steadinessOf(perSecond: readonly number[]): Steadiness {
  const middle = median(perSecond)
  const least = Math.min(...perSecond)
  let longest = 0
  let below = 0
  for (const operations of perSecond) {
    below = operations < middle / 2 ? below + 1 : 0
    longest = Math.max(longest, below)
  }
  return {
    medianPerSecond: middle,
    minPerSecond: least,
    maxPerSecond: Math.max(...perSecond),
    worstSecond: perSecond.indexOf(least),
    largestDip: middle === 0 ? 0 : 1 - least / middle,
    longestBelowHalf: longest,
  }
}
