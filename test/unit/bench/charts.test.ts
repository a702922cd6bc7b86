// Axes with round numbers, and charts in which everything that was measured is drawn.
import { expect, test } from 'vitest'
import { brief, logTicks, ticksUpTo } from '../../../bench/src/charts/axis.js'
import { barChart } from '../../../bench/src/charts/bar-chart.js'
import { lineChart } from '../../../bench/src/charts/line-chart.js'
import { markdownTable, short } from '../../../bench/src/base/markdown.js'

test('ticksUpTo_roundNumbersThatCoverTheMaximum', () => {
  expect(ticksUpTo(59_000)).toEqual([0, 20_000, 40_000, 60_000])
  expect(ticksUpTo(0.3)).toEqual([0, 0.1, 0.2, 0.3])
  expect(ticksUpTo(0)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1])
})

test('logTicks_powersOfTenAroundTheValues', () => {
  expect(logTicks(3, 2_000)).toEqual([1, 10, 100, 1_000, 10_000])
  expect(logTicks(10, 10)).toEqual([10, 100])
})

test('brief_numbersAtAxes', () => {
  expect([1_500, 2_000_000, 0.25, 12_345].map(brief)).toEqual(['1.5k', '2M', '0.25', '12.3k'])
  expect([12_345, 1.234, 0.01234].map(short)).toEqual(['12,345', '1.23', '0.012'])
})

test('barChart_oneBarForEachValue_textEscaped', () => {
  const bar = { value: 2, min: 1, max: 3 }
  const groups = [
    { name: 'put <64>', bars: [bar, undefined] },
    { name: 'get', bars: [bar, bar] },
  ]
  const svg = barChart({ title: 'a & b', axis: 'operations per second', series: ['x', 'y'], groups })
  // One of the rectangles is the background, two are the legend's.
  expect(svg.match(/<rect/g)).toHaveLength(1 + 2 + 3)
  expect(svg).toContain('put &lt;64&gt;')
  expect(svg).toContain('a &amp; b')
})

test('markdownTable_numbersToTheRight', () => {
  expect(markdownTable(['what', 'n'], [['a', '10']])).toBe('| what |   n |\n| ---- | --: |\n| a    |  10 |')
})

test('lineChart_aMarkForEachPoint_noneOnACurve', () => {
  const xTicks = [{ at: 0, label: 'first' }]
  const chart = (count: number): string => {
    const points = Array.from({ length: count }, (_, x) => ({ x, y: x + 1 }))
    return lineChart({ title: 't', x: 'x', y: 'y', xTicks, series: [{ name: 'put', points }], log: true })
  }
  expect(chart(3).match(/<circle/g)).toHaveLength(3)
  expect(chart(100)).not.toContain('<circle')
  expect(chart(1)).not.toContain('NaN')
})
