// What repeated runs of several systems say: the faster setting counts, and ratios are taken run by run.
import { expect, test } from 'vitest'
import { median, pairRatios, spreadOf } from '../../../bench/src/base/stats.js'
import { byCell, cellOf, ratiosOf } from '../../../bench/src/base/rounds.js'
import type { Run } from '../../../bench/src/base/rounds.js'

const LATENCY = { p50: 1, p90: 2, p99: 3, p999: 4, max: 5, mean: 1 }

function runsOf(system: string, replicas: number, rates: readonly number[], more: Partial<Run> = {}): Run[] {
  return rates.map((opsPerSecond, run) => ({
    system,
    replicas,
    mix: 'put',
    callers: 64,
    run,
    opsPerSecond,
    latencyMs: LATENCY,
    cpuMicrosPerOp: 10,
    cpu: [],
    failures: {},
    ...more,
  }))
}

test('median_ofOddAndEven', () => {
  expect([median([3, 1, 2]), median([4, 1, 2, 3]), median([])]).toEqual([2, 2.5, Number.NaN])
  expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 })
})

test('pairRatios_areOfPairs_notOfMedians', () => {
  // The machine was ten times slower in the second run, for both.
  expect(pairRatios([200, 20, 220], [100, 10, 100])).toEqual({ median: 2, min: 2, max: 2.2 })
})

test('byCell_keepsTheFasterSetting', () => {
  const off = runsOf('Redis', 1, [10, 30, 20], { setting: 'off' })
  const on = runsOf('Redis', 1, [25, 5, 24], { setting: 'on' })
  const interleaved = off.flatMap((run, i) => [run, on[i]!])
  const cells = byCell(interleaved)
  expect(cells).toHaveLength(1)
  expect(cellOf(cells[0]!)).toMatchObject({ setting: 'on', opsPerSecond: { median: 24, min: 5, max: 25 }, p99Ms: 3 })
})

test('ratiosOf_everyCoppiceToEveryOther_underTheSameLoad', () => {
  const runs = [
    ...runsOf('Coppice', 1, [20, 40]),
    ...runsOf('Coppice', 3, [10, 20]),
    ...runsOf('Redis', 1, [10, 10]),
    ...runsOf('Coppice', 1, [7], { mix: 'get' }),
  ]
  expect(ratiosOf(byCell(runs), 'Coppice')).toEqual([
    { mix: 'put', callers: 64, replicas: 1, against: 'Redis', ratio: 3, min: 2, max: 4 },
    { mix: 'put', callers: 64, replicas: 3, against: 'Redis', ratio: 1.5, min: 1, max: 2 },
  ])
})
