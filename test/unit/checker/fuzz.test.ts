// The checker against the definition, on thousands of small histories.
import { expect, test } from 'vitest'
import { checkHistory, operationsOf, type HistoryEvent } from '../../../packages/sim/src/checker/index.js'
import { bruteForce } from './brute-force.js'
import { randomHistory, randomOf } from './random-history.js'
import type { Shape } from './random-history.js'

const SHAPES: Record<string, Shape> = {
  register_small: { processes: 4, operations: 10, values: 3, functions: ['read', 'write'], lost: 0.1, keys: 1 },
  register_unique: { processes: 4, operations: 10, values: 0, functions: ['read', 'write'], lost: 0.1, keys: 1 },
  cas_small: {
    processes: 4,
    operations: 10,
    values: 3,
    functions: ['read', 'write', 'cas', 'cas'],
    lost: 0.1,
    keys: 1,
  },
  cas_unique: {
    processes: 4,
    operations: 10,
    values: 0,
    functions: ['read', 'write', 'cas', 'cas'],
    lost: 0.1,
    keys: 1,
  },
  cas_only: { processes: 5, operations: 12, values: 3, functions: ['read', 'cas'], lost: 0.2, keys: 1 },
  appends: { processes: 4, operations: 9, values: 2, functions: ['read', 'append'], lost: 0.15, keys: 1 },
  mixed: { processes: 4, operations: 9, values: 2, functions: ['read', 'write', 'cas', 'append'], lost: 0.2, keys: 1 },
  texts_unique: {
    processes: 4,
    operations: 10,
    values: 0,
    functions: ['read', 'read', 'write', 'append', 'append'],
    lost: 0.15,
    keys: 1,
  },
  texts_cas_unique: {
    processes: 4,
    operations: 10,
    values: 0,
    functions: ['read', 'read', 'write', 'cas', 'append', 'append'],
    lost: 0.2,
    keys: 1,
  },
  many_open: { processes: 5, operations: 12, values: 2, functions: ['read', 'write', 'cas'], lost: 0.5, keys: 1 },
  two_keys: { processes: 4, operations: 12, values: 2, functions: ['read', 'write', 'cas'], lost: 0.2, keys: 2 },
}

const ROUNDS = Number(process.env['COPPICE_CHECKER_ROUNDS'] ?? 700)

for (const [name, shape] of Object.entries(SHAPES)) {
  test(`checker_agreesWithTheDefinition_${name}`, () => {
    const verdicts = { ok: 0, illegal: 0 }
    for (let seed = 1; seed <= ROUNDS; seed++) {
      const events = randomHistory(shape, randomOf(seed), seed % 3 === 0 ? 0 : 0.15)
      const operations = operationsOf(events)
      const legal = bruteForce(operations)
      const result = checkHistory(operations)
      const text = events.map((e) => JSON.stringify(e)).join('\n')
      expect(result.verdict, `seed ${seed}\n${text}`).toBe(legal ? 'ok' : 'illegal')
      if (seed % 3 === 0) expect(legal, `seed ${seed} was made by a register\n${text}`).toBe(true)
      if (result.verdict === 'illegal') expect(bruteForce(result.part), `part of seed ${seed}\n${text}`).toBe(false)
      verdicts[legal ? 'ok' : 'illegal']++
    }
    expect(Math.min(verdicts.ok, verdicts.illegal)).toBeGreaterThan(ROUNDS / 20)
  })
}

// Found by the simulator: a write is of use to a cas without answer that is invoked after the write was answered.
test('checker_openCasInvokedLater_findsItsValue', () => {
  const line = (process: number, type: 'invoke' | 'ok', f: 'read' | 'write' | 'cas', value: unknown): HistoryEvent => ({
    process,
    type,
    f,
    key: 'k',
    value,
  })
  const operations = operationsOf([
    line(1, 'invoke', 'read', null),
    line(2, 'invoke', 'write', 'a'),
    line(2, 'ok', 'write', 'a'),
    line(1, 'ok', 'read', 'a'),
    line(3, 'invoke', 'write', 'b'),
    line(4, 'invoke', 'write', 'c'),
    line(3, 'ok', 'write', 'b'),
    line(4, 'ok', 'write', 'c'),
    line(5, 'invoke', 'cas', ['c', 'd']),
    line(6, 'invoke', 'read', null),
    line(6, 'ok', 'read', 'd'),
    line(7, 'invoke', 'read', null),
    line(7, 'ok', 'read', 'd'),
  ])
  expect(bruteForce(operations)).toBe(true)
  expect(checkHistory(operations).verdict).toBe('ok')
})

// What a register did is linearizable, however long; too long for the definition to be tried out.
for (const [name, shape] of Object.entries(SHAPES)) {
  test(`checker_longHistoriesOfARegister_areLinearizable_${name}`, () => {
    const long = { ...shape, processes: 8, operations: 120, lost: shape.lost / 4 }
    for (let seed = 1; seed <= ROUNDS / 7; seed++) {
      const events = randomHistory(long, randomOf(seed), 0)
      let steps = 0
      const { verdict } = checkHistory(operationsOf(events), { budget: () => ++steps < 2_000 })
      expect(verdict, `seed ${seed}\n${events.map((e) => JSON.stringify(e)).join('\n')}`).not.toBe('illegal')
    }
  })
}
