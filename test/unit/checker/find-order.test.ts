// The guessing search against the definition: whatever order it finds explains the history, in every round.
import { expect, test } from 'vitest'
import { operationsOf } from '../../../packages/sim/src/checker/index.js'
import { encode } from '../../../packages/sim/src/checker/encode.js'
import { findOrder } from '../../../packages/sim/src/checker/find-order.js'
import { bruteForce } from './brute-force.js'
import { randomHistory, randomOf } from './random-history.js'
import type { Shape } from './random-history.js'

const SHAPES: Record<string, Shape> = {
  register: { processes: 4, operations: 10, values: 3, functions: ['read', 'write'], lost: 0.1, keys: 1 },
  cas: { processes: 4, operations: 10, values: 2, functions: ['read', 'write', 'cas', 'cas'], lost: 0.1, keys: 1 },
  only_cas: { processes: 5, operations: 10, values: 2, functions: ['cas'], lost: 0.2, keys: 1 },
  texts: { processes: 4, operations: 9, values: 2, functions: ['read', 'append', 'append'], lost: 0.1, keys: 1 },
}

test.each(Object.entries(SHAPES))('findOrder_findsOnlyWhatExplains_%s', (_, shape) => {
  let [found, legal] = [0, 0]
  for (let seed = 1; seed <= 600; seed++) {
    const operations = operationsOf(randomHistory(shape, randomOf(seed), seed % 2 === 0 ? 0 : 0.2))
    const explainable = bruteForce(operations)
    let slices = 20
    const order = findOrder(encode(operations), () => --slices > 0, 1 + (seed % 4))
    if (order) expect(explainable, `seed ${seed}`).toBe(true)
    if (explainable) legal++
    if (order) found++
  }
  // It may miss one, but seldom.
  expect(found).toBeGreaterThan(0.97 * legal)
  expect(legal).toBeLessThan(600)
})
