// The skew of chosen keys against what Zipf's law says, and the bookkeeping of inserted keys.
import { expect, test } from 'vitest'
import { Inserts } from '../../../../packages/cli/src/bench/inserts.js'
import { keyChooser, scattered } from '../../../../packages/cli/src/bench/key-chooser.js'
import { Random } from '../../../../packages/cli/src/bench/random.js'
import { Zipfian } from '../../../../packages/cli/src/bench/zipfian.js'

const DRAWS = 400_000

function zeta(items: number): number {
  let sum = 0
  for (let k = 1; k <= items; k++) sum += 1 / k ** 0.99
  return sum
}

function sharesOf(draw: () => number, keys: number): number[] {
  const counts = new Array<number>(keys).fill(0)
  for (let i = 0; i < DRAWS; i++) counts[draw()]!++
  return counts.map((count) => count / DRAWS)
}

test('rank_hasTheFrequenciesOfZipfsLaw', () => {
  const items = 1_000
  const random = new Random(7)
  const zipfian = new Zipfian(items)
  const shares = sharesOf(() => zipfian.rank(random.fraction()), items)
  const sum = zeta(items)
  // The formula is exact for the first two ranks, and close in sum for all others.
  expect(shares[0]).toBeCloseTo(1 / sum, 2)
  expect(shares[1]).toBeCloseTo(0.5 ** 0.99 / sum, 2)
  for (const upTo of [10, 100, 500]) {
    const drawn = shares.slice(0, upTo).reduce((total, share) => total + share, 0)
    expect(Math.abs(drawn - zeta(upTo) / sum)).toBeLessThan(0.02)
  }
})

test('rank_isBelowTheNumberOfItems_alsoForTheLargestRandomNumber', () => {
  for (const items of [1, 2, 3, 1_000]) expect(new Zipfian(items).rank(1 - 2 ** -53)).toBeLessThan(items)
})

test('grow_equalsAGeneratorOfThatSize', () => {
  const grown = new Zipfian(10)
  grown.grow(1_000)
  const fresh = new Zipfian(1_000)
  for (const u of [0, 0.1, 0.3, 0.5, 0.9, 0.999]) expect(grown.rank(u)).toBe(fresh.rank(u))
})

test('zipfianKeys_areSkewedAndScattered', () => {
  const keys = 10_000
  const shares = sharesOf(keyChooser('zipfian', keys, new Random(1)), keys)
  const hottest = shares.indexOf(Math.max(...shares))
  // The first of ten thousand million ranks has 1 / 26.469 of all draws.
  expect(shares[hottest]).toBeCloseTo(1 / 26.469, 2)
  expect(hottest).toBe(scattered(0, keys))
  expect(Math.abs(scattered(0, keys) - scattered(1, keys))).toBeGreaterThan(1)
  expect(shares.filter((share) => share > 0).length).toBeGreaterThan(keys * 0.9)
})

test('uniformKeys_allAlike', () => {
  const shares = sharesOf(keyChooser('uniform', 10, new Random(1)), 10)
  for (const share of shares) expect(share).toBeCloseTo(0.1, 2)
})

test('latestKeys_followTheInserts', () => {
  let present = 1_000
  const choose = keyChooser('latest', 1_000, new Random(3), () => present)
  const nearEnd = (): number => {
    let near = 0
    for (let i = 0; i < 10_000; i++) {
      const key = choose()
      expect(key).toBeLessThan(present)
      if (key >= present - 10) near++
    }
    return near / 10_000
  }
  const before = nearEnd()
  present = 2_000
  expect(Math.abs(nearEnd() - before)).toBeLessThan(0.05)
  expect(before).toBeGreaterThan(0.3)
})

test('inserts_countOnceAllBeforeAreAcknowledged', () => {
  const inserts = new Inserts(100, 1, 3)
  const [first, second] = [inserts.next(), inserts.next()]
  expect([inserts.keyAt(99), inserts.keyAt(first), inserts.keyAt(second)]).toEqual([99, 101, 104])
  inserts.acknowledge(second)
  expect(inserts.present).toBe(100)
  inserts.acknowledge(first)
  expect(inserts.present).toBe(102)
})
