// What a long run says: how even the throughput was, how long the servers stood still, and how their memory went.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LatencyMs } from '@coppice/cli/bench'
import { markdownTable, short, whole } from '../base/markdown.js'
import { lineChart } from '../charts/line-chart.js'
import type { LineChart } from '../charts/line-chart.js'
import type { Steadiness } from './dips.js'
import type { MemorySample } from './memory.js'
import type { Stalls } from './server-logs.js'

const STEPS = [1, 2, 5, 10, 30, 60, 120, 300, 600]
const MAX_TICKS = 12

export interface SteadyReport {
  readonly machine: Readonly<Record<string, string | number>>
  /** When the measured time begins, on the wall clock, ms. */
  readonly begunAt: number
  readonly options: Readonly<Record<string, string | number>>
  readonly steadiness: Steadiness
  readonly latencyMs: LatencyMs
  readonly failures: Readonly<Record<string, number>>
  readonly stalls: readonly Stalls[]
  readonly perSecond: readonly number[]
  readonly memory: readonly MemorySample[]
}

export function textOf({ steadiness, latencyMs, failures, stalls, memory }: SteadyReport): string {
  const { medianPerSecond, minPerSecond, worstSecond, largestDip, longestBelowHalf } = steadiness
  const codes = Object.entries(failures).map(([code, count]) => `${whole(count)} with ${code}`)
  return [
    `Operations per second: median ${whole(medianPerSecond)}, least ${whole(minPerSecond)} (second ${worstSecond + 1})`,
    `Largest dip: ${(largestDip * 100).toFixed(0)} % below the median; longest time below half of it: ${longestBelowHalf} s`,
    `Latency: p50 ${short(latencyMs.p50)} ms, p99 ${short(latencyMs.p99)} ms, p99.9 ${short(latencyMs.p999)} ms, max ${short(latencyMs.max)} ms`,
    `Failed: ${codes.length === 0 ? 'none' : codes.join(', ')}`,
    '',
    stallTable(stalls),
    '',
    memoryTable(memory),
  ].join('\n')
}

function stallTable(stalls: readonly Stalls[]): string {
  const headings = [
    'server',
    'snapshots',
    'largest MiB',
    'longest stall in one, ms',
    'of it computing, ms',
    'late loops',
    'longest, ms',
  ]
  const rows = stalls.map((each) => [
    each.id,
    whole(each.snapshots.length),
    whole(each.snapshotBytes / 2 ** 20),
    short(each.duringSnapshotMs),
    short(each.duringSnapshotCpuMs),
    whole(each.stalls),
    whole(each.longestStallMs),
  ])
  return markdownTable(headings, rows)
}

function memoryTable(memory: readonly MemorySample[]): string {
  const ids = memory[0]?.servers.map(({ id }) => id) ?? []
  const rows = ids.map((id) => {
    const own = ownOf(memory, id)
    const resident = memory.map(({ servers }) => servers.find((server) => server.id === id)!.residentMiB)
    return [id, own[0]!, Math.max(...own), own.at(-1)!, Math.max(...resident)].map((cell) =>
      typeof cell === 'number' ? whole(cell) : cell,
    )
  })
  return markdownTable(['server', 'own MiB at first', 'at most', 'at last', 'with mapped files at most'], rows)
}

/** steady.json, steady.svg and steady-memory.svg. */
export function writeReport(dir: string, report: SteadyReport): void {
  mkdirSync(dir, { recursive: true })
  writeFileSync(join(dir, 'steady.json'), `${JSON.stringify(report)}\n`)
  writeFileSync(join(dir, 'steady.svg'), throughputChart(report))
  writeFileSync(join(dir, 'steady-memory.svg'), memoryChart(report))
}

function throughputChart({ perSecond, options, stalls, begunAt }: SteadyReport): string {
  const series = [{ name: String(options['mix']), points: perSecond.map((y, i) => ({ x: i + 1, y })) }]
  const bands = stalls.flatMap(({ snapshots }) => snapshots.map(({ from, to }) => secondsOf(from, to, begunAt)))
  const title = 'Throughput over time; shaded while a snapshot was taken'
  return lineChart({ ...timeAxis(perSecond.length), title, y: 'operations per second', series, bands })
}

function memoryChart({ memory, perSecond, begunAt }: SteadyReport): string {
  const measured = memory.filter(({ at }) => at >= begunAt)
  const series = (measured[0]?.servers ?? []).map(({ id }) => {
    const own = ownOf(measured, id)
    return { name: id, points: measured.map(({ at }, i) => ({ x: (at - begunAt) / 1_000, y: own[i]! })) }
  })
  return lineChart({ ...timeAxis(perSecond.length), title: "Memory of the servers' own over time", y: 'MiB', series })
}

function secondsOf(from: number, to: number, begunAt: number): { from: number; to: number } {
  return { from: Math.max(0, (from - begunAt) / 1_000), to: Math.max(0, (to - begunAt) / 1_000) }
}

function timeAxis(seconds: number): Pick<LineChart, 'x' | 'xTicks'> {
  const step = STEPS.find((each) => seconds / each <= MAX_TICKS) ?? seconds
  const count = Math.floor(seconds / step) + 1
  return { x: 'seconds', xTicks: Array.from({ length: count }, (_, i) => ({ at: i * step, label: String(i * step) })) }
}

function ownOf(memory: readonly MemorySample[], id: string): number[] {
  return memory.map(({ servers }) => servers.find((server) => server.id === id)!.ownMiB)
}
