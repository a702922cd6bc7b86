// Finds what the manifest no longer counts, so that it can be removed a few keys per transaction: dropping hundreds of thousands
// of records neither stops the event loop nor makes one commit long.
import type { LmdbTable } from '@coppice/runtime/server'
import { firstRecordKey } from './log-reader.js'
import { endOf, type Manifest } from './manifest.js'
import type { PairKey, StoreTables } from './store-tables.js'

/** Above every key of a table. */
const LAST: PairKey = [Number.MAX_SAFE_INTEGER, 0]
const FIRST: PairKey = [0, 0]

/** Inside a commit: removes up to `limit` dead keys. Returns how many there were; fewer than `limit`: none is left. */
export function removeDead(t: StoreTables, m: Manifest, limit: number): number {
  let left = limit
  for (const [table, ranges] of [[t.chunks, deadChunks(m)] as const, [t.log, deadRecords(t, m)] as const]) {
    for (const [start, end] of ranges) {
      left -= removeRange(table, start, end, left)
      if (left === 0) return limit
    }
  }
  return limit - left
}

function removeRange(table: LmdbTable, start: PairKey, end: PairKey, limit: number): number {
  const keys = [...table.keys({ start, end, limit })]
  for (const key of keys) table.remove(key)
  return keys.length
}

function deadChunks(m: Manifest): [PairKey, PairKey][] {
  const slots = m.unfinished.map((u) => u.slot)
  if (m.snapshot !== null) slots.push(m.snapshot.slot)
  const ranges: [PairKey, PairKey][] = []
  let at = FIRST
  for (const slot of slots.sort((a, b) => a - b)) {
    ranges.push([at, [slot, 0]])
    at = [slot + 1, 0]
  }
  return [...ranges, [at, LAST]]
}

function deadRecords(t: StoreTables, m: Manifest): [PairKey, PairKey][] {
  const ranges: [PairKey, PairKey][] = []
  const first = firstRecordKey(t, m)
  let at = FIRST
  for (const [i, { generation, from }] of m.stretches.entries()) {
    const alive: PairKey = i === 0 && first !== undefined && first[0] === generation ? first : [generation, from]
    ranges.push([at, alive])
    at = [generation, endOf(m, i)]
  }
  return [...ranges, [at, LAST]]
}
