// Medians and pairwise ratios of repeated runs. Runs of two sides are taken alternately, so that each pair met the same state of the
// machine; the ratio of a pair says more than the ratio of two averages.

export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((x, y) => x - y)
  const middle = Math.floor(sorted.length / 2)
  if (sorted.length === 0) return Number.NaN
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export function spreadOf(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}

/** Of `ours` to `theirs`, run by run. */
export function pairRatios(ours: readonly number[], theirs: readonly number[]): Spread {
  const pairs = Math.min(ours.length, theirs.length)
  return spreadOf(Array.from({ length: pairs }, (_, i) => ours[i]! / theirs[i]!))
}
