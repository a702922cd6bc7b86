// What a transfer cost, as text.
import type { EpochSummary } from '@coppice/protocol'
import type { MemorySample } from '../steady/memory.js'
import type { Gaps } from './callers.js'

const MiB = 1024 * 1024

export interface Calls {
  readonly writes: Gaps | undefined
  readonly reads: Gaps | undefined
  /** Longest that the process of the clients itself stood still: what it measured meanwhile may be late by that. */
  readonly stalledMs: number
}

export interface TransferReport {
  readonly machine: Readonly<Record<string, string | number>>
  readonly loadMs: number
  /** From the request to its answer. */
  readonly tookMs: number
  readonly targets: readonly string[]
  readonly leaving: readonly string[]
  readonly epoch: EpochSummary
  /** Before the change, and from its request until it was over. */
  readonly calm: Calls
  readonly during: Calls
  /** Processor time of each server during the change, ms. */
  readonly processorMs: ReadonlyMap<string, number>
  readonly failures: readonly string[]
  readonly memory: readonly MemorySample[]
}

export function textOf(r: TransferReport): string {
  const caughtUp = r.epoch.catchUp.filter(({ id }) => r.targets.includes(id))
  const mib = caughtUp.reduce((sum, { bytes }) => sum + bytes / MiB, 0)
  const gaps = (name: string, { writes, reads, stalledMs }: Calls): string[] => [
    ...(writes === undefined ? [] : [`${name}: ${gapsOf('write', writes)}`]),
    ...(reads === undefined ? [] : [`${name}: ${gapsOf('read', reads)}`]),
    `${name}: the clients' own process stood still for ${Math.round(stalledMs)} ms at the longest`,
  ]
  const shipped = caughtUp.map(
    ({ id, how, bytes, ms, learnedBytes }) =>
      `shipped to ${id} (${how}): ${(bytes / MiB).toFixed(1)} MiB in ${(ms / 1_000).toFixed(1)} s, ${(bytes / MiB / (ms / 1_000)).toFixed(1)} MiB/s; ${(learnedBytes / MiB).toFixed(1)} MiB of it before anything stopped`,
  )
  return [
    Object.values(r.machine).join(', '),
    `${r.targets.join(', ')} replaced ${r.leaving.join(', ')} in ${(r.tookMs / 1_000).toFixed(1)} s`,
    ...shipped,
    `write pause ${whole(r.epoch.writePauseMs)}, read pause ${whole(r.epoch.readPauseMs)} (by the config leader's clock)`,
    ...gaps('before', r.calm),
    ...gaps('during', r.during),
    r.failures.length === 0
      ? 'no call failed'
      : `${r.failures.length} calls failed: ${r.failures.slice(0, 5).join('; ')}`,
    `processor time meanwhile, ms for each MiB shipped: ${processor(r.processorMs, mib)}`,
    'own memory, MiB (first, most, last):',
    ...memoryLines(r.memory),
  ].join('\n')
}

function gapsOf(call: string, g: Gaps): string {
  return `${Math.round(g.perSecond)} ${call}s/s, longest without an answer ${Math.round(g.gapMs)} ms (until ${(g.gapEndedMs / 1_000).toFixed(1)} s), slowest ${call} ${Math.round(g.slowestMs)} ms`
}

function processor(msById: ReadonlyMap<string, number>, mib: number): string {
  return [...msById].map(([id, ms]) => `${id} ${(ms / mib).toFixed(1)}`).join(', ')
}

function whole(ms: number | null): string {
  return ms === null ? '?' : `${Math.round(ms)} ms`
}

function memoryLines(memory: readonly MemorySample[]): string[] {
  const ids = memory[0]?.servers.map(({ id }) => id) ?? []
  return ids.map((id, i) => {
    const own = memory.map(({ servers }) => servers[i]!.ownMiB)
    return `  ${id}: ${[own[0]!, Math.max(...own), own.at(-1)!].map((n) => Math.round(n)).join(', ')}`
  })
}
