// Processor time of the servers so far, all their threads together.
import { readFileSync } from 'node:fs'
import type { Watched } from '@coppice/cli/bench'

/** Of the clock in which Linux counts it, per second. */
const TICKS = 100

/** By server, ms; NaN where the system does not tell. */
export function processorMs(watched: readonly Watched[]): ReadonlyMap<string, number> {
  return new Map(watched.map(({ id, pid }) => [id, ofProcess(pid)]))
}

function ofProcess(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // Behind the name, which may hold anything: state first, user and system time as the twelfth and thirteenth.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return ((Number(fields[11]) + Number(fields[12])) * 1_000) / TICKS
  } catch {
    return NaN
  }
}
