// Which records and which snapshot pieces count. Cutting a log or dropping a snapshot changes this one small value, in the same
// transaction as everything else of the write effect, however much is dropped; what no longer counts is swept later, a little at a time.
//
// A log is a row of stretches. A cut suffix ends the last stretch and begins another one in a new segment, so that records written after the
// cut never meet those that were cut, though they have the same indexes.
import { assert, type Index } from '@coppice/protocol'
import type { SnapshotHeader, SnapshotOrigin } from '../core/io.js'

/** Records from `from` up to the next stretch's `from`, in the segments from number `generation` on. */
export interface Stretch {
  readonly generation: number
  readonly from: Index
}

export interface Manifest {
  /** Ascending by `from` and by generation; never empty. */
  readonly stretches: readonly Stretch[]
  /** Records that lie wholly below do not count. */
  readonly below: Index
  readonly snapshot: { readonly slot: number; readonly header: SnapshotHeader } | null
  /** Snapshots still being written; those that are brought from another replica, `origin`, outlive the process. */
  readonly unfinished: readonly {
    readonly snapshotId: string
    readonly slot: number
    readonly origin?: SnapshotOrigin
  }[]
  /** Never used before: for the next slot. */
  readonly nextNumber: number
}

export const FRESH_MANIFEST: Manifest = {
  stretches: [{ generation: 1, from: 0 }],
  below: 0,
  snapshot: null,
  unfinished: [],
  nextNumber: 2,
}

/** Exclusive end of stretch `i`; infinite for the last one, which takes new records. */
function endOf(m: Manifest, i: number): Index {
  return m.stretches[i + 1]?.from ?? Number.MAX_SAFE_INTEGER
}

/** New records go to segments from this number on. */
export function lastGeneration(m: Manifest): number {
  return m.stretches[m.stretches.length - 1]!.generation
}

/** Exclusive end of the records of segment `number` that count: where the stretch behind its own begins. */
export function limitOf(m: Manifest, number: number): Index {
  let i = m.stretches.length - 1
  while (i > 0 && m.stretches[i]!.generation > number) i--
  return endOf(m, i)
}

/** `generation`: number of the segment that the next record begins. */
export function cutSuffix(m: Manifest, from: Index, generation: number): Manifest {
  const kept = m.stretches.filter((s) => s.from < from && s.generation < generation)
  return { ...m, stretches: [...kept, { generation, from }], below: Math.min(m.below, from) }
}

export function cutPrefix(m: Manifest, below: Index): Manifest {
  if (below <= m.below) return m
  return { ...m, stretches: m.stretches.filter((_, i) => endOf(m, i) > below), below }
}

/** The slot of an unfinished snapshot, made when it is new. */
export function beginSnapshot(m: Manifest, snapshotId: string): { manifest: Manifest; slot: number } {
  const known = m.unfinished.find((u) => u.snapshotId === snapshotId)
  if (known !== undefined) return { manifest: m, slot: known.slot }
  const slot = m.nextNumber
  return { manifest: { ...m, unfinished: [...m.unfinished, { snapshotId, slot }], nextNumber: slot + 1 }, slot }
}

/** A snapshot is brought under this name from now on; `resumes`: the name it had so far. */
export function beginCopy(
  m: Manifest,
  snapshotId: string,
  origin: SnapshotOrigin,
  resumes: string | undefined,
): Manifest {
  const { manifest, slot } = beginSnapshot(m, resumes ?? snapshotId)
  const unfinished = manifest.unfinished.map((u) => (u.slot === slot ? { snapshotId, slot, origin } : u))
  return { ...manifest, unfinished }
}

/** All other snapshots, finished or not, are dropped. */
export function commitSnapshot(m: Manifest, header: SnapshotHeader): Manifest {
  const { manifest, slot } = beginSnapshot(m, header.snapshotId)
  return { ...manifest, snapshot: { slot, header }, unfinished: [] }
}

export function dropSnapshot(m: Manifest, snapshotId: string): Manifest {
  if (!m.unfinished.some((u) => u.snapshotId === snapshotId)) return m
  return { ...m, unfinished: m.unfinished.filter((u) => u.snapshotId !== snapshotId) }
}

/** Throws unless the value can be what this code wrote; called when it is read back. */
export function checkManifest(m: Manifest): void {
  assert(Array.isArray(m.stretches) && m.stretches.length > 0, 'a manifest has a stretch')
  for (const [i, s] of m.stretches.entries()) {
    const before = m.stretches[i - 1]
    assert(before === undefined || (before.from < s.from && before.generation < s.generation), 'stretches ascend')
  }
  for (const { slot } of m.unfinished) assert(slot < m.nextNumber, 'a slot is below the next number')
  assert(m.snapshot === null || m.snapshot.slot < m.nextNumber, 'a slot is below the next number')
}
