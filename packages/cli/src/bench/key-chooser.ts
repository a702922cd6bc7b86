// Which key an operation is about: uniform, zipfian with the hot keys scattered over all (as YCSB does), or mostly the latest inserted.
import { mix32 } from './random.js'
import type { Random } from './random.js'
import { Zipfian } from './zipfian.js'

export const DISTRIBUTIONS = ['uniform', 'zipfian', 'latest'] as const
export type Distribution = (typeof DISTRIBUTIONS)[number]

/** YCSB draws ranks over so many items, whatever the number of keys, and scatters them by a hash; the sum over them is known. */
const SCATTERED_ITEMS = 10_000_000_000
const SCATTERED_ZETA = 26.46902820178302
const WORD = 0x100000000

/** Number of a key; those that were inserted meanwhile come after the loaded ones. */
export type ChooseKey = () => number

/** `present` tells how many keys, from the first on, are there by now. It never falls. */
export function keyChooser(
  distribution: Distribution,
  keys: number,
  random: Random,
  present: () => number = () => keys,
): ChooseKey {
  if (distribution === 'uniform') return () => random.below(present())
  if (distribution === 'zipfian') return zipfianKeys(keys, random)
  return latestKeys(random, present)
}

function zipfianKeys(keys: number, random: Random): ChooseKey {
  const ranks = new Zipfian(SCATTERED_ITEMS, SCATTERED_ZETA)
  return () => scattered(ranks.rank(random.fraction()), keys)
}

/** The key of a rank. Hot ranks fall on keys that have nothing to do with each other. */
export function scattered(rank: number, keys: number): number {
  const high = Math.floor(rank / WORD)
  return (mix32(mix32(rank | 0) ^ high) >>> 0) % keys
}

function latestKeys(random: Random, present: () => number): ChooseKey {
  let known = present()
  const ranks = new Zipfian(known)
  return () => {
    const now = present()
    if (now > known) {
      known = now
      ranks.grow(now)
    }
    return known - 1 - ranks.rank(random.fraction())
  }
}
