// A result as JSON and as text.
import { table } from '../base/output.js'
import { latencyBars } from './latency-bars.js'
import type { Histogram } from './histogram.js'
import { sharesText } from './mixes.js'
import type { BenchResult } from './run.js'
import type { BenchSpec } from './spec.js'

const PERCENTILES = { p50: 0.5, p90: 0.9, p99: 0.99, p999: 0.999 }

export interface LatencyMs extends Record<keyof typeof PERCENTILES, number> {
  readonly max: number
  readonly mean: number
}

export function latencyMs(histogram: Histogram): LatencyMs {
  const at = Object.entries(PERCENTILES).map(([name, p]) => [name, histogram.percentileMs(p)])
  return { ...(Object.fromEntries(at) as LatencyMs), max: histogram.maxMs, mean: histogram.meanMs }
}

export function cpuMicrosPerOp({ cpu, operations }: BenchResult): number {
  return (cpu.reduce((sum, { ms }) => sum + ms, 0) * 1_000) / Math.max(operations, 1)
}

export function resultJson(workload: string, result: BenchResult): Record<string, unknown> {
  const { spec, operations, opsPerSecond, perSecond, all, kinds, failures, missing, notSent, lateness } = result
  const { arrival, distribution, clients, clerks, keys, valueBytes, measureMs } = spec
  return {
    workload,
    distribution,
    arrival,
    ...(arrival.kind === 'closed' ? { callers: arrival.callers } : {}),
    clients,
    clerks,
    keys,
    valueBytes,
    seconds: measureMs / 1_000,
    loaded: result.loaded,
    operations,
    failed: Object.values(failures).reduce((sum, count) => sum + count, 0),
    failures,
    missing,
    ...(arrival.kind === 'open' ? { notSent, sentLateMs: latencyMs(lateness) } : {}),
    opsPerSecond,
    perSecond,
    latencyMs: latencyMs(all),
    kinds: [...kinds].map(([kind, histogram]) => ({
      kind,
      operations: histogram.count,
      latencyMs: latencyMs(histogram),
    })),
    cpuMicrosPerOp: cpuMicrosPerOp(result),
    cpu: result.cpu.map(({ id, ms }) => ({ id, microsPerOp: (ms * 1_000) / Math.max(operations, 1) })),
  }
}

/** "ycsb-a: 50 % get, 50 % put, zipfian; 64 callers, …". */
export function specText(workload: string, spec: BenchSpec): string {
  const { mix, distribution, arrival, clients, clerks, keys, valueBytes, measureMs } = spec
  const many = (n: number, what: string): string => `${n.toLocaleString('en')} ${what}${n === 1 ? '' : 's'}`
  const load =
    arrival.kind === 'closed'
      ? many(arrival.callers, 'caller')
      : `${many(arrival.rate, 'operation')}/s${arrival.poisson ? ' (Poisson)' : ''}`
  const from = clients > 1 || clerks > 1 ? ` from ${many(clients, 'client')} with ${many(clerks, 'clerk')} each` : ''
  return (
    `${workload}: ${sharesText(mix)}, ${distribution}; ${load}${from}, ` +
    `${many(keys, 'key')}, values of ${many(valueBytes, 'byte')}, ${measureMs / 1_000} s`
  )
}

export function resultText(result: BenchResult): string {
  const { operations, opsPerSecond, all, kinds, failures, missing, notSent, lateness, spec } = result
  const seconds = spec.measureMs / 1_000
  const rows: [string, Histogram][] = [...kinds]
  if (rows.length > 1) rows.push(['all', all])
  const lines = [
    `${rounded(opsPerSecond)} operations/s (${rounded(operations)} in ${seconds} s)`,
    '',
    latencyTable(rows),
    '',
    latencyBars(all),
    '',
    `CPU of all processes: ${cpuMicrosPerOp(result).toFixed(1)} µs per operation`,
    table(
      ['process', 'µs per operation'],
      result.cpu.map(({ id, ms }) => [id, ((ms * 1_000) / Math.max(operations, 1)).toFixed(1).padStart(16)]),
    ),
  ]
  for (const [code, count] of Object.entries(failures)) lines.push(`failed with ${code}: ${rounded(count)}`)
  if (missing > 0) lines.push(`reads that found nothing: ${rounded(missing)}`)
  if (notSent > 0)
    lines.push(`not sent, because too many operations were under way: ${rounded(notSent)}; the rate was not kept`)
  if (lateness.count > 0)
    lines.push(
      `sent later than planned: p50 ${lateness.percentileMs(0.5).toFixed(2)} ms, p99 ${lateness.percentileMs(0.99).toFixed(2)} ms (part of the latencies)`,
    )
  return lines.join('\n')
}

function latencyTable(rows: readonly [string, Histogram][]): string {
  const headings = ['latency in ms', 'operations', ...Object.keys(PERCENTILES), 'max', 'mean']
  const cells = rows.map(([name, histogram]) => {
    const { max, mean, ...at } = latencyMs(histogram)
    return [name, histogram.count, ...[...Object.values(at), max, mean].map((ms) => ms.toFixed(3).padStart(8))]
  })
  return table(
    headings.map((heading, i) => (i < 2 ? heading : heading.padStart(8))),
    cells,
  )
}

function rounded(n: number): string {
  return Math.round(n).toLocaleString('en')
}
