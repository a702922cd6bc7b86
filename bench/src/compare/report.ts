// Two commits side by side: medians of each, and the ratios of runs that were made one after the other.
import { markdownTable, short, whole } from '../base/markdown.js'
import { byCell, cellOf, ratiosOf } from '../base/rounds.js'
import type { Cell, Ratio, Rounds, Run } from '../base/rounds.js'
import { machine } from '../base/machine.js'
import type { Commit } from './checkout.js'

export const NOW = 'now'
export const BASE = 'base'

export interface Comparison {
  readonly base: Commit
  readonly machine: Readonly<Record<string, string | number>>
  readonly options: Rounds
  /** Of now to the base. */
  readonly ratios: readonly Ratio[]
  readonly cpuRatios: readonly Ratio[]
  readonly cells: readonly Cell[]
  readonly runs: readonly Run[]
}

export function comparisonOf(base: Commit, options: Rounds, runs: readonly Run[]): Comparison {
  const cells = byCell(runs)
  return {
    base,
    machine: machine(),
    options,
    ratios: ratiosOf(cells, NOW),
    cpuRatios: ratiosOf(cells, NOW, (run) => run.cpuMicrosPerOp),
    cells: cells.map(cellOf),
    runs,
  }
}

export function tableOf({ base, options, ratios, cpuRatios, cells }: Comparison): string {
  const headings = [
    'workload',
    'callers',
    'base op/s',
    'now op/s',
    'now ÷ base',
    'min–max',
    'p50 ms',
    'p99 ms',
    'CPU µs/op',
    'CPU now ÷ base',
  ]
  const rows = ratios.map(({ mix, callers, ratio, min, max }, i) => {
    const of = (system: string): Cell =>
      cells.find((cell) => cell.system === system && cell.mix === mix && cell.callers === callers)!
    const [then, now] = [of(BASE), of(NOW)]
    const cpu = cpuRatios[i]!
    return [
      mix,
      whole(callers),
      whole(then.opsPerSecond.median),
      whole(now.opsPerSecond.median),
      ratio.toFixed(2),
      `${min.toFixed(2)}–${max.toFixed(2)}`,
      `${short(then.p50Ms)} → ${short(now.p50Ms)}`,
      `${short(then.p99Ms)} → ${short(now.p99Ms)}`,
      `${short(then.cpuMicrosPerOp)} → ${short(now.cpuMicrosPerOp)}`,
      `${cpu.ratio.toFixed(2)} (${cpu.min.toFixed(2)}–${cpu.max.toFixed(2)})`,
    ]
  })
  const { keys, valueBytes, runs, seconds } = options
  const how = `Base is ${base.hash} (${base.subject}). ${whole(keys)} keys, values of ${valueBytes} bytes; medians of ${runs} runs of ${seconds} s, in turn.`
  return [markdownTable(headings, rows, 1), '', how].join('\n')
}
