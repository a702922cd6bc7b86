// How long a value can stand at the most: an operation that writes or finds another value, and lies wholly behind the moment at which
// the value was there, ends it.
import { APPEND, DIFFERS, READ, WRITE } from './encode.js'
import type { Encoded } from './encode.js'

export class Windows {
  private readonly calls: number[] = []
  // From each operation on, in order of invocation: the earliest answer, its value, and the earliest answer with any other value.
  private readonly ends: Float64Array
  private readonly values: Int32Array
  private readonly otherEnds: Float64Array

  constructor(h: Encoded) {
    const ops: number[] = []
    for (const event of h.events) {
      const op = event >> 1
      if ((event & 1) === 1 || h.returns[op] === Infinity || h.kind[op] === DIFFERS) continue
      ops.push(op)
      this.calls.push(h.calls[op]!)
    }
    this.ends = new Float64Array(ops.length + 1).fill(Infinity)
    this.values = new Int32Array(ops.length + 1).fill(-1)
    this.otherEnds = new Float64Array(ops.length + 1).fill(Infinity)
    for (let i = ops.length - 1; i >= 0; i--) this.fold(i, valueOf(h, ops[i]!), h.returns[ops[i]!]!)
  }

  /** Line on which `value` has certainly been replaced, if it was there at `moment`. */
  endOf(value: number, moment: number): number {
    const at = firstAbove(this.calls, moment)
    return this.values[at] === value ? this.otherEnds[at]! : this.ends[at]!
  }

  private fold(i: number, value: number, end: number): void {
    const best = this.ends[i + 1]!
    const bestValue = this.values[i + 1]!
    const other = this.otherEnds[i + 1]!
    const wins = end < best
    this.ends[i] = wins ? end : best
    this.values[i] = wins ? value : bestValue
    this.otherEnds[i] = value === bestValue ? other : wins ? best : Math.min(end, other)
  }
}

// A cas or an append changes whatever it finds: it ends every value.
function valueOf(h: Encoded, op: number): number {
  const kind = h.kind[op]
  if (kind === READ || kind === WRITE) return h.a[op]!
  return kind === APPEND ? -2 : -3
}

/** Index of the first element above `value` in a rising list. */
export function firstAbove(list: readonly number[], value: number): number {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (list[middle]! > value) high = middle
    else low = middle + 1
  }
  return low
}
