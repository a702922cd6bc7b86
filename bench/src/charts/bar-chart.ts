// Bars in groups, one colour a series, each with its value above and a whisker from the least to the greatest of its runs.
import { brief, ticksUpTo, verticalAxis } from './axis.js'
import type { Frame } from './axis.js'
import { INK, colourOf, element, label, legend, picture } from './svg.js'

export interface Bar {
  readonly value: number
  readonly min: number
  readonly max: number
}
export interface BarChart {
  readonly title: string
  /** What the bars measure, with its unit. */
  readonly axis: string
  readonly series: readonly string[]
  /** One bar for each series; undefined where there is none. */
  readonly groups: readonly { readonly name: string; readonly bars: readonly (Bar | undefined)[] }[]
}

const BAR = 34
const GAP = 30
const HEIGHT = 420
const FRAME = { left: 76, top: 76, bottom: HEIGHT - 48 }

export function barChart({ title, axis, series, groups }: BarChart): string {
  const groupWidth = series.length * BAR + GAP
  const width = Math.max(FRAME.left + groups.length * groupWidth + 20, 480)
  const frame: Frame = { ...FRAME, right: width - 20 }
  const ticks = ticksUpTo(Math.max(...groups.flatMap(({ bars }) => bars.map((bar) => bar?.max ?? 0))))
  const top = ticks.at(-1)!
  const yOf = (value: number): number => frame.bottom - (value / top) * (frame.bottom - frame.top)
  const drawn = groups.map(({ name, bars }, g) => {
    const x = frame.left + GAP / 2 + g * groupWidth
    const middle = x + (series.length * BAR) / 2
    const columns = bars.map((bar, i) => (bar === undefined ? '' : column(bar, x + i * BAR, i, yOf)))
    return [...columns, label(middle, frame.bottom + 20, name, { 'text-anchor': 'middle' })].join('')
  })
  const parts = [
    legend(
      frame.left,
      54,
      series.map((name, i) => ({ name, colour: colourOf(i) })),
    ),
    verticalAxis(frame, ticks, axis, yOf),
    ...drawn,
  ]
  return picture(width, HEIGHT, title, parts)
}

function column({ value, min, max }: Bar, x: number, i: number, yOf: (value: number) => number): string {
  const y = yOf(value)
  const middle = x + BAR / 2
  const rect = element('rect', { x: x + 2, y, width: BAR - 4, height: Math.max(yOf(0) - y, 1), fill: colourOf(i) })
  const whisker = element('line', {
    x1: middle,
    x2: middle,
    y1: yOf(min),
    y2: yOf(max),
    stroke: INK,
    'stroke-width': 1.5,
  })
  const text = label(middle, yOf(max) - 5, brief(value), { 'text-anchor': 'middle', 'font-size': 11 })
  return rect + whisker + text
}
