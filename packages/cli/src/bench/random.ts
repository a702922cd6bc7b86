// Random numbers of a workload: seeded, so that two runs choose the same keys, and cheap, because they are drawn inside what is measured.
// The generator is xoshiro128** (Blackman and Vigna); its state is spread from the seed by splitmix32.

export class Random {
  #a: number
  #b: number
  #c: number
  #d: number

  constructor(seed: number) {
    let state = seed | 0
    const spread = (): number => {
      state = (state + 0x9e3779b9) | 0
      return mix32(state)
    }
    this.#a = spread()
    this.#b = spread()
    this.#c = spread()
    this.#d = spread()
  }

  /** 32 bits, as a number of at least 0. */
  bits(): number {
    const b = this.#b
    const scaled = Math.imul(b, 5)
    const result = Math.imul((scaled << 7) | (scaled >>> 25), 9)
    this.#c ^= this.#a
    this.#d ^= b
    this.#b = b ^ this.#c
    this.#a ^= this.#d
    this.#c ^= b << 9
    this.#d = (this.#d << 11) | (this.#d >>> 21)
    return result >>> 0
  }

  /** At least 0, below 1, with 53 bits. */
  fraction(): number {
    return (this.bits() * 0x200000 + (this.bits() >>> 11)) / 0x20000000000000
  }

  /** A whole number of at least 0, below `end`. */
  below(end: number): number {
    return Math.floor(this.fraction() * end)
  }
}

/** Every bit of the result depends on every bit of `x`, and different numbers have different results. */
export function mix32(x: number): number {
  let h = x
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
