// What a comparison says: a table and a line on what the machine could do at best, a chart, and all of it as JSON.
import { machine } from '../base/machine.js'
import { barChart } from '../charts/bar-chart.js'
import { markdownTable, short, whole } from '../base/markdown.js'
import { byCell, cellOf, ratiosOf } from '../base/rounds.js'
import type { Cell, Ratio, Rounds, Run } from '../base/rounds.js'
import type { Floor } from './floor.js'

export interface Report {
  readonly machine: Readonly<Record<string, string | number>>
  readonly options: Rounds
  readonly cells: readonly Cell[]
  readonly ratios: readonly Ratio[]
  /** Undefined when there was no Coppice of three replicas. */
  readonly oneCaller: Floor | undefined
  readonly runs: readonly Run[]
}

export function reportOf(options: Rounds, runs: readonly Run[], oneCaller: Floor | undefined): Report {
  const cells = byCell(runs)
  return { machine: machine(), options, cells: cells.map(cellOf), ratios: ratiosOf(cells, 'Coppice'), oneCaller, runs }
}

export function tableOf({ cells, ratios, options, oneCaller }: Report): string {
  const headings = [
    'workload',
    'callers',
    'system',
    'operations/s',
    'min–max',
    'p50 ms',
    'p99 ms',
    'CPU µs/op',
    'Coppice ÷ it (min–max)',
  ]
  const rows = cells.map((cell) => {
    const { mix, callers, opsPerSecond, p50Ms, p99Ms, cpuMicrosPerOp, failed } = cell
    const failures = failed === 0 ? '' : ` (${whole(failed)} failed)`
    return [
      mix,
      whole(callers),
      titleOf(cell) + failures,
      whole(opsPerSecond.median),
      `${whole(opsPerSecond.min)}–${whole(opsPerSecond.max)}`,
      short(p50Ms),
      short(p99Ms),
      short(cpuMicrosPerOp),
      ratios
        .filter((ratio) => ratio.mix === mix && ratio.callers === callers && ratio.against === cell.system)
        .map(ratioText)
        .join('; '),
    ]
  })
  const { keys, valueBytes, runs, seconds } = options
  const how = `${whole(keys)} keys, values of ${valueBytes} bytes; medians of ${runs} runs of ${seconds} s, sides in turn; ratios run by run.`
  return [
    markdownTable(headings, rows, 3),
    '',
    how,
    ...(oneCaller === undefined ? [] : ['', floorText(oneCaller)]),
  ].join('\n')
}

function ratioText({ replicas, ratio, min, max }: Ratio): string {
  return `×${replicas}: ${ratio.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`
}

function floorText({ putMs, appendMs, getMs, roundTripMs }: Floor): string {
  const times = (one: number, other: number): string => `${(one / other).toFixed(2)} times`
  return [
    `One caller, three replicas (medians):`,
    `put ${short(putMs)} ms, ${times(putMs, appendMs)} the durable append of the same record by three processes at once (${short(appendMs)} ms, the slowest of the three);`,
    `get ${short(getMs)} ms, ${times(getMs, roundTripMs)} one WebSocket round trip (${short(roundTripMs)} ms).`,
  ].join('\n')
}

export function chartOf({ cells }: Report): string {
  const systems = [...new Set(cells.map(nameOf))]
  const groups = [...new Set(cells.map(groupOf))]
  return barChart({
    title: 'Throughput by number of servers (×); whiskers from the slowest to the fastest run',
    axis: 'operations per second',
    series: systems,
    groups: groups.map((name) => ({
      name,
      bars: systems.map((system) => {
        const cell = cells.find((each) => nameOf(each) === system && groupOf(each) === name)
        if (cell === undefined) return undefined
        const { median: value, min, max } = cell.opsPerSecond
        return { value, min, max }
      }),
    })),
  })
}

function nameOf({ system, replicas }: Cell): string {
  return `${system} ×${replicas}`
}

function titleOf(cell: Cell): string {
  return nameOf(cell) + (cell.setting === undefined ? '' : `, ${cell.setting}`)
}

function groupOf({ mix, callers }: Cell): string {
  return `${mix}, ${callers} callers`
}
