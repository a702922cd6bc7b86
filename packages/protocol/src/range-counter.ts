// Which numbers of a growing sequence are here (PROTOCOL 5 R1, 6): all below a low-water mark, and ranges above it. What comes in order
// moves the mark; what comes early waits above it, inside a window; what is missing is known as holes. (Ignite's partition counters.)
import { assert } from './assert.js'

/** [from, to): exclusive end. */
export type Range = readonly [from: number, to: number]

/** Which numbers of a growing sequence are here: all below a mark, and ranges above it. What comes in order costs two comparisons. */
export class RangeCounter {
  /** All numbers below are here. */
  low: number
  /** from, to, from, to, …: ascending, above `low`, none touching the next. */
  readonly #above: number[] = []
  readonly #window: number

  /** `window`: numbers at or above low + window are not taken, unless they follow without a hole. */
  constructor(low: number, window = Infinity) {
    this.low = low
    this.#window = window
  }

  /** No hole: nothing is here above the mark. */
  get whole(): boolean {
    return this.#above.length === 0
  }

  /** Takes [from, to). Answers whether all of it is here now and something of it was not before. */
  add(from: number, to: number): boolean {
    if (from > this.low) return this.#addAbove(from, to)
    if (to <= this.low) return false
    this.low = to
    if (this.#above.length > 0) this.#absorb()
    return true
  }

  /** Whether all of [from, to) is here. */
  has(from: number, to: number): boolean {
    if (to <= this.low) return true
    const at = this.#reaching(to)
    return at < this.#above.length && this.#above[at]! <= Math.max(from, this.low)
  }

  /** What is here above the mark, ascending; at most `max` ranges, the lowest. */
  ranges(max = Infinity): Range[] {
    const ranges: Range[] = []
    for (let i = 0; i < this.#above.length && ranges.length < max; i += 2)
      ranges.push([this.#above[i]!, this.#above[i + 1]!])
    return ranges
  }

  /** What is missing below `end`, ascending. */
  holes(end: number): Range[] {
    const holes: Range[] = []
    let from = this.low
    for (let i = 0; i < this.#above.length && this.#above[i]! < end; i += 2) {
      holes.push([from, this.#above[i]!])
      from = this.#above[i + 1]!
    }
    if (from < end) holes.push([from, end])
    return holes
  }

  /** Forgets everything and begins at `low`, with `ranges` above it. */
  reset(low: number, ranges: readonly Range[] = []): void {
    this.low = low
    if (this.#above.length > 0) this.#above.length = 0
    for (let i = 0; i < ranges.length; i++) this.add(ranges[i]![0], ranges[i]![1])
  }

  #addAbove(from: number, to: number): boolean {
    assert(from < to, 'a range is not empty')
    if (to - this.low > this.#window) return false
    const above = this.#above
    // Most of what is early comes behind everything that is here.
    const at = above.length > 0 && above[above.length - 1]! < from ? above.length : this.#reaching(from)
    let end = at
    while (end < above.length && above[end]! <= to) end += 2
    if (end === at) {
      above.splice(at, 0, from, to)
      return true
    }
    if (above[at]! <= from && to <= above[at + 1]!) return false
    const last = Math.max(to, above[end - 1]!)
    above.splice(at, end - at, Math.min(from, above[at]!), last)
    return true
  }

  /** The mark has moved: ranges that it reached are below it now. */
  #absorb(): void {
    const above = this.#above
    let n = 0
    while (n < above.length && above[n]! <= this.low) {
      if (above[n + 1]! > this.low) this.low = above[n + 1]!
      n += 2
    }
    if (n > 0) above.splice(0, n)
  }

  /** Where the first range lies that ends at or behind `number`. */
  #reaching(number: number): number {
    let low = 0
    let high = this.#above.length / 2
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#above[2 * middle + 1]! < number) low = middle + 1
      else high = middle
    }
    return 2 * low
  }
}
