// The shape of a latency distribution in characters: steps of 1, 2, 5, 10 … and a bar for the share of each.
import type { Histogram } from './histogram.js'

const WIDTH = 50
const FIRST_MS = 0.01
const STEPS = [1, 2, 5]

export function latencyBars(histogram: Histogram): string {
  const bounds = boundsUpTo(histogram.maxMs)
  const rows: { readonly end: number; readonly count: number }[] = []
  let before = 0
  for (const end of bounds) {
    const upTo = end >= histogram.maxMs ? histogram.count : histogram.countUpTo(end)
    // Nothing is that fast: no row.
    if (upTo > 0) rows.push({ end, count: upTo - before })
    before = upTo
  }
  const most = Math.max(...rows.map(({ count }) => count))
  const width = Math.max(...rows.map(({ end }) => String(end).length))
  return rows
    .map(({ end, count }) => {
      const share = ((count / histogram.count) * 100).toFixed(count > 0 && count < histogram.count / 1_000 ? 3 : 1)
      return `≤ ${String(end).padStart(width)} ms ${share.padStart(6)} % ${bar(count / most)}`.trimEnd()
    })
    .join('\n')
}

// Eighths of a character; something is shown of everything that is there.
function bar(share: number): string {
  const eighths = share === 0 ? 0 : Math.max(Math.round(share * WIDTH * 8), 1)
  const rest = eighths % 8
  return '█'.repeat(Math.floor(eighths / 8)) + (rest === 0 ? '' : String.fromCodePoint(0x2590 - rest))
}

function boundsUpTo(maxMs: number): number[] {
  const bounds: number[] = []
  for (let unit = FIRST_MS; ; unit *= 10) {
    for (const step of STEPS) {
      const bound = Number((unit * step).toPrecision(1))
      bounds.push(bound)
      if (bound >= maxMs) return bounds
    }
  }
}
