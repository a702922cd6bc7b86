// Lines over a common horizontal axis: measured points with markers, or a curve over time without.
import { brief, logTicks, ticksUpTo, verticalAxis } from './axis.js'
import type { Frame } from './axis.js'
import { INK, colourOf, element, label, legend, picture } from './svg.js'
import type { Attributes } from './svg.js'

export interface Point {
  readonly x: number
  readonly y: number
  /** Drawn as a whisker. */
  readonly min?: number
  readonly max?: number
}
export interface Series {
  readonly name: string
  readonly points: readonly Point[]
  /** Place in the palette; default its place among the series. */
  readonly colour?: number
  readonly dashed?: boolean
}
export interface LineChart {
  readonly title: string
  /** What the axes are, with their units. */
  readonly x: string
  readonly y: string
  readonly xTicks: readonly { readonly at: number; readonly label: string }[]
  readonly series: readonly Series[]
  /** Vertical axis by powers of ten. */
  readonly log?: boolean
}

const WIDTH = 720
const HEIGHT = 400
const FRAME: Frame = { left: 76, right: WIDTH - 30, top: 76, bottom: HEIGHT - 62 }
/** More points than these are a curve. */
const MAX_MARKED = 40
/** With more lines than these the numbers would hide each other. */
const MAX_LABELLED = 2
const MARGIN = 0.04

export function lineChart({ title, x, y, xTicks, series, log = false }: LineChart): string {
  const points = series.flatMap((each) => each.points)
  const ticks = log
    ? logTicks(
        Math.min(...points.map((point) => point.min ?? point.y)),
        Math.max(...points.map((point) => point.max ?? point.y)),
      )
    : ticksUpTo(Math.max(...points.map((point) => point.max ?? point.y)))
  const scale = log ? Math.log10 : (value: number): number => value
  const [low, high] = [scale(ticks[0]!), scale(ticks.at(-1)!)]
  const yOf = (value: number): number => {
    const share = (scale(Math.max(value, ticks[0]!)) - low) / (high - low)
    return FRAME.bottom - share * (FRAME.bottom - FRAME.top)
  }
  const xs = [...points.map((point) => point.x), ...xTicks.map(({ at }) => at)]
  const [first, last] = [Math.min(...xs), Math.max(...xs)]
  const xOf = (value: number): number => {
    const share = last === first ? 0.5 : MARGIN + ((value - first) / (last - first)) * (1 - 2 * MARGIN)
    return FRAME.left + share * (FRAME.right - FRAME.left)
  }
  const entries = series.map(({ name, colour, dashed = false }, i) => ({
    name,
    colour: colourOf(colour ?? i),
    hollow: dashed,
  }))
  const parts = [
    legend(FRAME.left, 54, entries),
    verticalAxis(FRAME, ticks, y, yOf),
    horizontalAxis(x, xTicks, xOf),
    ...series.map((each, i) => line(each, entries[i]!.colour, series.length <= MAX_LABELLED, xOf, yOf)),
  ]
  return picture(WIDTH, HEIGHT, title, parts)
}

function horizontalAxis(title: string, ticks: LineChart['xTicks'], xOf: (value: number) => number): string {
  const { left, right, bottom } = FRAME
  const rule = element('line', { x1: left, x2: right, y1: bottom, y2: bottom, stroke: INK })
  const marks = ticks.map(({ at, label: text }) => {
    const stroke = element('line', { x1: xOf(at), x2: xOf(at), y1: bottom, y2: bottom + 5, stroke: INK })
    return stroke + label(xOf(at), bottom + 20, text, { 'text-anchor': 'middle' })
  })
  return [rule, ...marks, label((left + right) / 2, bottom + 44, title, { 'text-anchor': 'middle' })].join('')
}

function line(
  { points, dashed = false }: Series,
  colour: string,
  isLabelled: boolean,
  xOf: (x: number) => number,
  yOf: (y: number) => number,
): string {
  const isCurve = points.length > MAX_MARKED
  const path = points.map(({ x, y }, i) => `${i === 0 ? 'M' : 'L'}${xOf(x).toFixed(1)} ${yOf(y).toFixed(1)}`).join('')
  const dashes: Attributes = dashed ? { 'stroke-dasharray': '5 4' } : {}
  const stroke = element('path', {
    d: path,
    fill: 'none',
    stroke: colour,
    'stroke-width': isCurve ? 1.2 : 2,
    ...dashes,
  })
  if (isCurve) return stroke
  const marks = points.map((point) => {
    const at = xOf(point.x)
    const { y, min = y, max = y } = point
    const whisker = min === max ? '' : element('line', { x1: at, x2: at, y1: yOf(min), y2: yOf(max), stroke: colour })
    const dot = element('circle', { cx: at, cy: yOf(y), r: 3.5, fill: colour })
    const text = isLabelled ? label(at, yOf(max) - 8, brief(y), { 'text-anchor': 'middle', 'font-size': 10 }) : ''
    return whisker + dot + text
  })
  return stroke + marks.join('')
}
