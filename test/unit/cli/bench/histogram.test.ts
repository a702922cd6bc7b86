// Percentiles of the histogram against those of the sorted values, and how results of several processes are put together.
import { expect, test } from 'vitest'
import { Histogram } from '../../../../packages/cli/src/bench/histogram.js'
import { latencyBars } from '../../../../packages/cli/src/bench/latency-bars.js'
import { Random } from '../../../../packages/cli/src/bench/random.js'
import { Recorder } from '../../../../packages/cli/src/bench/recorder.js'
import { merged } from '../../../../packages/cli/src/bench/run.js'

function histogramOf(values: readonly number[]): Histogram {
  const histogram = new Histogram()
  for (const value of values) histogram.record(value)
  return histogram
}

test('percentiles_areExactToATenthOfAPercent', () => {
  const random = new Random(5)
  const values = Array.from({ length: 50_000 }, () => Math.exp(random.fraction() * 14 - 4))
  const histogram = histogramOf(values)
  const sorted = values.toSorted((x, y) => x - y)
  for (const p of [0.01, 0.5, 0.9, 0.99, 0.999]) {
    const exact = sorted[Math.ceil(p * sorted.length) - 1]!
    expect(Math.abs(histogram.percentileMs(p) - exact)).toBeLessThan(exact / 1_000 + 0.0002)
  }
  expect(histogram.percentileMs(1)).toBe(sorted.at(-1))
  expect(histogram.meanMs).toBeCloseTo(values.reduce((sum, value) => sum + value, 0) / values.length)
})

test('percentiles_ofNothing_areZero', () => {
  expect(new Histogram().percentileMs(0.5)).toBe(0)
})

test('record_beyondTheRange_keepsTheMaximum', () => {
  const histogram = histogramOf([1, 1_000_000, -0.5])
  expect(histogram.maxMs).toBe(1_000_000)
  expect(histogram.count).toBe(3)
  expect(histogram.percentileMs(0.01)).toBeLessThan(0.001)
})

test('data_survivesJson_andAdds', () => {
  const one = Histogram.from(JSON.parse(JSON.stringify(histogramOf([1, 2, 3]).data())))
  one.add(histogramOf([10, 20]))
  expect(one.count).toBe(5)
  expect(one.maxMs).toBe(20)
  expect(one.percentileMs(0.6)).toBeCloseTo(3, 2)
  expect(one.countUpTo(5)).toBe(3)
})

test('recorder_countsWhatEndsInTheWindow_andKeepsTheLatencyOfWhatEndsLater', () => {
  const recorder = new Recorder({ from: 1_000, until: 3_000 })
  recorder.ended(0, 900, 999)
  recorder.ended(0, 990, 1_000)
  recorder.ended(1, 2_000, 2_500)
  recorder.ended(1, 2_990, 9_000)
  recorder.failed(Object.assign(new Error('no'), { code: 'TIMEOUT' }), 500)
  recorder.failed(Object.assign(new Error('no'), { code: 'TIMEOUT' }), 2_000)
  recorder.failed(new RangeError('no'), 2_000)
  const both = merged({ measureMs: 2_000 }, [recorder.data(), recorder.data()])
  expect(both.operations).toBe(4)
  expect(both.opsPerSecond).toBe(2)
  expect(both.perSecond).toEqual([2, 2])
  expect(both.all.count).toBe(6)
  expect(both.kinds.get('put')!.maxMs).toBe(6_010)
  expect(both.failures).toEqual({ TIMEOUT: 2, RangeError: 2 })
})

test('latencyBars_showEveryStepBetweenTheFirstAndTheLast', () => {
  const text = latencyBars(histogramOf([...Array<number>(99).fill(1.5), 8]))
  const shares = text.split('\n').map((line) => line.slice(0, line.indexOf('%') + 1))
  expect(shares).toEqual(['≤  2 ms   99.0 %', '≤  5 ms    0.0 %', '≤ 10 ms    1.0 %'])
})
