// What the servers' logs tell about a span of time: how often their event loops stood still, and the longest time they did so while a
// snapshot was taken.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Stalls {
  readonly id: string
  /** When each was begun and when it was complete, on the wall clock, ms. */
  readonly snapshots: readonly { readonly from: number; readonly to: number }[]
  /** Of the largest snapshot. */
  readonly snapshotBytes: number
  /** The longest stall while a snapshot was captured, ms, and how much of it the process was computing at all. */
  readonly duringSnapshotMs: number
  readonly duringSnapshotCpuMs: number
  /** Times when the event loop was late by more than the server reports, and the longest of them. */
  readonly stalls: number
  readonly longestStallMs: number
}

interface Line {
  readonly time?: string
  readonly event?: string
  readonly bytes?: number
  readonly sleptMs?: number
  readonly longestStallMs?: number
  readonly longestStallCpuMs?: number
}

/** Of the lines that were written from `since` on, in ms of the wall clock. */
export function stallsOf(dataDir: string, id: string, since: number): Stalls {
  const path = join(dataDir, 'logs', `${id}.log`)
  return stallsIn(id, existsSync(path) ? readFileSync(path, 'utf8') : '', since)
}

export function stallsIn(id: string, log: string, since: number): Stalls {
  const lines = log.split('\n').flatMap(parsed)
  const of = (event: string): Line[] => lines.filter((line) => line.event === event && at(line) >= since)
  const greatest = (
    all: readonly Line[],
    field: 'bytes' | 'sleptMs' | 'longestStallMs' | 'longestStallCpuMs',
  ): number => Math.max(0, ...all.map((line) => line[field] ?? 0))
  const begun = of('snapshotBegun').map(at)
  // One that was begun before counts from the start.
  const begunBefore = (line: Line): number => Math.max(since, ...begun.filter((time) => time <= at(line)))
  const snapshots = of('snapshotCommitted')
  const stalls = of('loopStalled')
  return {
    id,
    snapshots: snapshots.map((line) => ({ from: begunBefore(line), to: at(line) })),
    snapshotBytes: greatest(snapshots, 'bytes'),
    duringSnapshotMs: greatest(snapshots, 'longestStallMs'),
    duringSnapshotCpuMs: greatest(snapshots, 'longestStallCpuMs'),
    stalls: stalls.length,
    longestStallMs: greatest(stalls, 'sleptMs'),
  }
}

function at(line: Line): number {
  return Date.parse(line.time ?? '')
}

// Lines for people stand among those in JSON.
function parsed(line: string): Line[] {
  if (!line.startsWith('{')) return []
  try {
    return [JSON.parse(line) as Line]
  } catch {
    return []
  }
}
