// One inner node of the key order: children[i] holds the keys ≥ separators[i − 1] and < separators[i]. As in a leaf, a search goes by four
// bytes of each separator and looks at a whole one only to settle a tie.
import { compareBytes } from './compare-bytes.js'
import { headOf, type Leaf } from './key-leaf.js'

export const INNER_CHILDREN = 64

export class Inner {
  readonly children: (Leaf | Inner)[]
  readonly #separators: Uint8Array[]
  readonly #heads = new Uint32Array(INNER_CHILDREN)
  /** All separators have this many first bytes in common. */
  #skip = 0

  constructor(children: (Leaf | Inner)[], separators: Uint8Array[]) {
    this.children = children
    this.#separators = separators
    this.#rehead()
  }

  /** Which child holds the key. */
  childOf(key: Uint8Array, start: number, end: number): number {
    const separators = this.#separators
    const count = separators.length
    if (count === 0) return 0
    const first = separators[0]!
    for (let i = 0; i < this.#skip; i++) {
      if (start + i >= end) return 0
      const d = key[start + i]! - first[i]!
      if (d !== 0) return d < 0 ? 0 : count
    }
    const heads = this.#heads
    const head = headOf(key, start + this.#skip, end)
    let low = 0
    let high = count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (heads[middle]! < head) low = middle + 1
      else high = middle
    }
    for (; low < count && heads[low] === head; low++) {
      const separator = separators[low]!
      if (compareBytes(separator, 0, separator.length, key, start, end) > 0) break
    }
    return low
  }

  /** Puts a child behind child `at`; the answer is the node's upper half when it became too large, with what separates it. */
  insert(at: number, separator: Uint8Array, child: Leaf | Inner): { node: Inner; separator: Uint8Array } | undefined {
    this.#separators.splice(at, 0, separator)
    this.children.splice(at + 1, 0, child)
    if (this.children.length <= INNER_CHILDREN) {
      this.#rehead()
      return undefined
    }
    const half = this.children.length >>> 1
    const upper = new Inner(this.children.splice(half), this.#separators.splice(half))
    const between = this.#separators.pop()!
    this.#rehead()
    return { node: upper, separator: between }
  }

  /** Takes a child out; a neighbour inherits its interval. */
  remove(at: number): void {
    this.children.splice(at, 1)
    this.#separators.splice(Math.max(0, at - 1), 1)
    this.#rehead()
  }

  #rehead(): void {
    const separators = this.#separators
    if (separators.length === 0) return
    const first = separators[0]!
    const last = separators[separators.length - 1]!
    const n = Math.min(first.length, last.length)
    let same = 0
    while (same < n && first[same] === last[same]) same++
    this.#skip = same
    separators.forEach((separator, i) => (this.#heads[i] = headOf(separator, same, separator.length)))
  }
}
