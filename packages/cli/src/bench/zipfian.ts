// Ranks by Zipf's law: rank k is chosen in proportion to 1 / (k + 1)^0.99, in constant time (Gray et al., "Quickly Generating
// Billion-Record Synthetic Databases", SIGMOD'94; the generator of YCSB).

const THETA = 0.99
const ALPHA = 1 / (1 - THETA)
const SECOND = 1 + 0.5 ** THETA

export class Zipfian {
  #items: number
  /** Sum of 1 / k^theta for k = 1 … items. */
  #zeta: number
  #eta: number

  /** `zeta` may be given when it is known: the sum over many items takes long. */
  constructor(items: number, zeta: number = sum(0, items)) {
    this.#items = items
    this.#zeta = zeta
    this.#eta = etaOf(items, zeta)
  }

  /** Rank for a random number u of [0, 1): 0 is the most frequent, all are below the number of items. */
  rank(u: number): number {
    const uz = u * this.#zeta
    if (uz < 1) return 0
    if (uz < SECOND) return 1
    const rank = Math.floor(this.#items * (this.#eta * u - this.#eta + 1) ** ALPHA)
    // The power of a number just below 1 may be rounded up to 1.
    return rank < this.#items ? rank : this.#items - 1
  }

  /** There are more items than before: only their terms are added. */
  grow(items: number): void {
    this.#zeta += sum(this.#items, items)
    this.#items = items
    this.#eta = etaOf(items, this.#zeta)
  }
}

function etaOf(items: number, zeta: number): number {
  return (1 - (2 / items) ** (1 - THETA)) / (1 - SECOND / zeta)
}

function sum(from: number, to: number): number {
  let zeta = 0
  for (let k = from + 1; k <= to; k++) zeta += 1 / k ** THETA
  return zeta
}
