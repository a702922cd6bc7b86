// Axes: where their ticks are and what is written at them.
import { FAINT, INK, element, label } from './svg.js'

export interface Frame {
  readonly left: number
  readonly right: number
  readonly top: number
  readonly bottom: number
}

/** Round numbers from 0 to at least `max`, four to eight of them. */
export function ticksUpTo(max: number): number[] {
  const rough = (max > 0 ? max : 1) / 5
  const unit = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map((factor) => factor * unit).find((each) => each >= rough)!
  const count = Math.max(Math.ceil((max > 0 ? max : 1) / step - 1e-9), 1)
  return Array.from({ length: count + 1 }, (_, i) => Number((i * step).toPrecision(12)))
}

/** Powers of ten around what is to be shown. */
export function logTicks(min: number, max: number): number[] {
  const first = Math.floor(Math.log10(min))
  const last = Math.max(Math.ceil(Math.log10(max)), first + 1)
  return Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i))
}

/** 1500 is "1.5k". */
export function brief(n: number): string {
  const units: [number, string][] = [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ]
  const [unit, name] = units.find(([size]) => Math.abs(n) >= size) ?? [1, '']
  return `${Number((n / unit).toPrecision(3))}${name}`
}

/** The vertical axis with lines across; `yOf` places a value. */
export function verticalAxis(
  frame: Frame,
  ticks: readonly number[],
  title: string,
  yOf: (value: number) => number,
): string {
  const { left, right, top, bottom } = frame
  const rows = ticks.map((tick) => {
    const y = yOf(tick)
    const line = element('line', {
      x1: left,
      x2: right,
      y1: y,
      y2: y,
      stroke: tick === 0 ? INK : FAINT,
      'stroke-width': 1,
    })
    return line + label(left - 8, y + 4, brief(tick), { 'text-anchor': 'end' })
  })
  const middle = (top + bottom) / 2
  const turned = { 'text-anchor': 'middle', transform: `rotate(-90 20 ${middle})` }
  return [...rows, label(20, middle, title, turned)].join('')
}
