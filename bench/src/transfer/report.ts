// What a transfer cost, as text.
import type { EpochSummary } from '@coppice/protocol'
import type { MemorySample } from '../steady/memory.js'
import type { Gaps } from './writers.js'

const MiB = 1024 * 1024

export interface TransferReport {
  readonly machine: Readonly<Record<string, string | number>>
  readonly loadMs: number
  /** From the request to its answer. */
  readonly tookMs: number
  readonly target: string
  readonly leaving: string
  readonly epoch: EpochSummary
  /** Before the change, and from its request until it was over. */
  readonly calm: Gaps | undefined
  readonly gaps: Gaps | undefined
  readonly failures: readonly string[]
  readonly memory: readonly MemorySample[]
}

export function textOf(r: TransferReport): string {
  const to = r.epoch.catchUp.find(({ id }) => id === r.target)!
  const mib = to.bytes / MiB
  const gaps = (name: string, g: Gaps | undefined): string[] =>
    g === undefined
      ? []
      : [
          `${name}: ${Math.round(g.perSecond)} writes/s, longest without an answer ${Math.round(g.gapMs)} ms, slowest write ${Math.round(g.slowestMs)} ms`,
        ]
  return [
    Object.values(r.machine).join(', '),
    `${r.target} replaced ${r.leaving} in ${(r.tookMs / 1_000).toFixed(1)} s`,
    `shipped (${to.how}): ${mib.toFixed(1)} MiB in ${(to.ms / 1_000).toFixed(1)} s, ${(mib / (to.ms / 1_000)).toFixed(1)} MiB/s; ${(to.learnedBytes / MiB).toFixed(1)} MiB of it before anything stopped`,
    `write pause ${whole(r.epoch.writePauseMs)}, read pause ${whole(r.epoch.readPauseMs)} (by the config leader's clock)`,
    ...gaps('before', r.calm),
    ...gaps('during', r.gaps),
    ...(r.failures.length === 0 ? [] : [`failed writes: ${r.failures.slice(0, 5).join('; ')}`]),
    'own memory, MiB (first, most, last):',
    ...memoryLines(r.memory),
  ].join('\n')
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
