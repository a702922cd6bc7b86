// Which records and which snapshot pieces count. Cutting a log or dropping a snapshot changes this one small value, in the same
// transaction as everything else of the write effect, however much is dropped; what no longer counts is swept later, a little at a time.
//
// A log is a row of stretches. A cut suffix ends the last stretch and begins another one under a new generation, so that records
// written after the cut never meet those that were cut, though they have the same indexes.
import { assert, type Index } from '@coppice/protocol'
import type { SnapshotHeader } from '../core/io.js'

/** Records of `generation` from `from` up to the next stretch's `from`. */
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
  /** Snapshots still being written. */
  readonly unfinished: readonly { readonly snapshotId: string; readonly slot: number }[]
  /** Never used before: for the next generation or slot. */
  readonly nextNumber: number
}

export const FRESH_MANIFEST: Manifest = {
  stretches: [{ generation: 1, from: 0 }],
  below: 0,
  snapshot: null,
  unfinished: [],
  nextNumber: 2,
}

/** The stretch in which a record that begins at `index` lies, and where it ends; undefined when the log begins above. */
export function stretchAt(m: Manifest, index: Index): { generation: number; end: Index } | undefined {
  for (let i = m.stretches.length - 1; i >= 0; i--) {
    const { generation, from } = m.stretches[i]!
    if (from <= index) return { generation, end: endOf(m, i) }
  }
  return undefined
}

/** Exclusive end of stretch `i`; infinite for the last one, which takes new records. */
export function endOf(m: Manifest, i: number): Index {
  return m.stretches[i + 1]?.from ?? Number.MAX_SAFE_INTEGER
}

/** The generation of new records. */
export function lastGeneration(m: Manifest): number {
  return m.stretches[m.stretches.length - 1]!.generation
}

export function cutSuffix(m: Manifest, from: Index): Manifest {
  const kept = m.stretches.filter((s) => s.from < from)
  const stretches = [...kept, { generation: m.nextNumber, from }]
  return { ...m, stretches, below: Math.min(m.below, from), nextNumber: m.nextNumber + 1 }
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
    assert(s.generation < m.nextNumber, 'a generation is below the next number')
  }
  for (const { slot } of m.unfinished) assert(slot < m.nextNumber, 'a slot is below the next number')
  assert(m.snapshot === null || m.snapshot.slot < m.nextNumber, 'a slot is below the next number')
}
