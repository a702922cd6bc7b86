// Resident memory of the servers, once a second. What belongs to a process alone is told apart from pages of mapped files, which the kernel
// can drop at any time.
import { readFileSync } from 'node:fs'
import type { Watched } from '@coppice/cli/bench'

export interface MemorySample {
  /** On the wall clock, ms. */
  readonly at: number
  /** By server: MiB of its own, and with mapped files. */
  readonly servers: readonly { readonly id: string; readonly ownMiB: number; readonly residentMiB: number }[]
}

const EVERY_MS = 1_000

/** The samples grow until the returned function is called. */
export function watchMemory(watched: readonly Watched[], samples: MemorySample[]): () => void {
  const take = (): void => {
    const servers = watched.map(({ id, pid }) => ({ id, ...memoryOf(pid) }))
    samples.push({ at: Date.now(), servers })
  }
  take()
  const timer = setInterval(take, EVERY_MS)
  return () => clearInterval(timer)
}

function memoryOf(pid: number): { ownMiB: number; residentMiB: number } {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const mib = (field: string): number => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? NaN) / 1_024
    return { ownMiB: mib('RssAnon'), residentMiB: mib('VmRSS') }
  } catch {
    return { ownMiB: NaN, residentMiB: NaN }
  }
}
