// One benchmark run: starts the client processes, lets them load and then run together, and puts what they measured together with the CPU
// that every process used meanwhile.
import { cpuMsOf } from '../dev/processes.js'
import { Client } from './client.js'
import { Histogram } from './histogram.js'
import { KINDS } from './mixes.js'
import type { Kind } from './mixes.js'
import type { RecordedData } from './recorder.js'
import type { BenchSpec } from './spec.js'

/** A process whose CPU is counted. */
export interface Watched {
  readonly id: string
  readonly pid: number
}

export interface BenchResult {
  readonly spec: BenchSpec
  /** Operations that ended in the window, and their rate. */
  readonly operations: number
  readonly opsPerSecond: number
  readonly perSecond: readonly number[]
  readonly all: Histogram
  readonly kinds: ReadonlyMap<Kind, Histogram>
  readonly failures: Readonly<Record<string, number>>
  readonly missing: number
  readonly notSent: number
  readonly lateness: Histogram
  /** Keys written beforehand, and how long that took. */
  readonly loaded: number
  readonly loadMs: number
  /** CPU of each process in the window, ms; clients together. */
  readonly cpu: readonly { readonly id: string; readonly ms: number }[]
}

export interface BenchObserver {
  onLoading?(): void
  /** Every second of the window. */
  onProgress?(elapsedMs: number, operations: number): void
}

export async function runBench(
  spec: BenchSpec,
  watched: readonly Watched[],
  { onLoading, onProgress }: BenchObserver = {},
): Promise<BenchResult> {
  const run = Date.now().toString(36)
  const clients = Array.from({ length: spec.clients }, (_, client) => new Client({ ...spec, client, run }))
  let timer: NodeJS.Timeout | undefined
  try {
    if (spec.load) onLoading?.()
    const ready = await Promise.all(clients.map((client) => client.heard('ready')))
    for (const client of clients) client.run()
    await Promise.race(clients.map((client) => client.heard('begun')))
    const before = watched.map(({ pid }) => cpuMsOf(pid))
    const begun = performance.now()
    timer = setInterval(() => {
      const operations = clients.reduce((sum, client) => sum + client.operations, 0)
      onProgress?.(performance.now() - begun, operations)
    }, 1_000)
    const ended = await Promise.all(clients.map((client) => client.heard('ended')))
    clearInterval(timer)
    const servers = watched.flatMap(({ id, pid }, i) => {
      const now = cpuMsOf(pid)
      const then = before[i]
      return now === undefined || then === undefined ? [] : [{ id, ms: now - then }]
    })
    const parts = await Promise.all(clients.map((client) => client.result()))
    return {
      spec,
      ...merged(spec, parts),
      loaded: ready.reduce((sum, { loaded }) => sum + loaded, 0),
      loadMs: Math.max(...ready.map(({ loadMs }) => loadMs)),
      cpu: [{ id: 'client', ms: ended.reduce((sum, { cpuMs }) => sum + cpuMs, 0) }, ...servers],
    }
  } finally {
    clearInterval(timer)
    for (const client of clients) client.stop()
  }
}

type Merged = Omit<BenchResult, 'spec' | 'loaded' | 'loadMs' | 'cpu'>

/** What several processes measured, as if one had. */
export function merged({ measureMs }: Pick<BenchSpec, 'measureMs'>, parts: readonly RecordedData[]): Merged {
  const kinds = new Map<Kind, Histogram>()
  const all = new Histogram()
  const lateness = new Histogram()
  const failures: Record<string, number> = {}
  for (const part of parts) {
    lateness.add(Histogram.from(part.lateness))
    for (const [code, count] of Object.entries(part.failures)) failures[code] = (failures[code] ?? 0) + count
    part.kinds.forEach((data, i) => {
      const histogram = Histogram.from(data)
      if (histogram.count === 0) return
      all.add(histogram)
      const known = kinds.get(KINDS[i]!)
      if (known === undefined) kinds.set(KINDS[i]!, histogram)
      else known.add(histogram)
    })
  }
  const sum = (of: (part: RecordedData) => number): number => parts.reduce((total, part) => total + of(part), 0)
  const seconds = parts[0]?.perSecond.length ?? 0
  const perSecond = Array.from({ length: seconds }, (_, i) => sum((part) => part.perSecond[i] ?? 0))
  const operations = perSecond.reduce((total, each) => total + each, 0)
  return {
    operations,
    opsPerSecond: (operations * 1_000) / measureMs,
    perSecond,
    all,
    kinds,
    failures,
    missing: sum(({ missing }) => missing),
    notSent: sum(({ notSent }) => notSent),
    lateness,
  }
}
