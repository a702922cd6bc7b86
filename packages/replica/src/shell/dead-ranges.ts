// Finds pieces of snapshots that the manifest no longer counts, so that they can be removed a few keys per transaction: dropping a large
// snapshot neither stops the event loop nor makes one commit long.
import type { LmdbTable } from '@coppice/runtime/server'
import type { Manifest } from './manifest.js'
import type { ChunkKey, StoreTables } from './store-tables.js'

/** Above every key, and below. */
const LAST: ChunkKey = [Number.MAX_SAFE_INTEGER, 0]
const FIRST: ChunkKey = [0, 0]

/** Inside a commit: removes up to `limit` dead keys. Returns how many there were; fewer than `limit`: none is left. */
export function removeDead(t: StoreTables, m: Manifest, limit: number): number {
  let left = limit
  for (const [start, end] of deadChunks(m)) {
    left -= removeRange(t.chunks, start, end, left)
    if (left === 0) return limit
  }
  return limit - left
}

function removeRange(table: LmdbTable, start: ChunkKey, end: ChunkKey, limit: number): number {
  const keys = [...table.keys({ start, end, limit })]
  for (const key of keys) table.remove(key)
  return keys.length
}

function deadChunks(m: Manifest): [ChunkKey, ChunkKey][] {
  const slots = m.unfinished.map((u) => u.slot)
  if (m.snapshot !== null) slots.push(m.snapshot.slot)
  const ranges: [ChunkKey, ChunkKey][] = []
  let at = FIRST
  for (const slot of slots.sort((a, b) => a - b)) {
    ranges.push([at, [slot, 0]])
    at = [slot + 1, 0]
  }
  return [...ranges, [at, LAST]]
}
