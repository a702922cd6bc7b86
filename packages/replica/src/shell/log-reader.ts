// Finding and checking records (PROTOCOL 7): by the stretch their index belongs to, whole records only, each with its checksum.
import { DecodeError, openRecord, type Index, type RecordHeader } from '@coppice/protocol'
import { nodeBytes } from '@coppice/runtime'
import { endOf, stretchAt, type Manifest } from './manifest.js'
import type { LogSlice } from './storage.js'
import { damaged } from './store-marks.js'
import { positionOf, type RecordKey, type StoreTables } from './store-tables.js'

const NOTHING = new Uint8Array(0)

/** Key of the first record that counts: the one that holds `below`, or the first above it; undefined when the log is empty. */
export function firstRecordKey(t: StoreTables, m: Manifest): RecordKey | undefined {
  for (const [i, { generation, from }] of m.stretches.entries()) {
    const upTo = { start: [generation, Math.max(m.below, from)], end: [generation, from - 1], reverse: true, limit: 1 }
    if (i === 0) for (const key of t.log.keys(upTo)) return key as RecordKey
    for (const key of t.log.keys({ start: [generation, from], end: [generation, endOf(m, i)], limit: 1 }))
      return key as RecordKey
  }
  return undefined
}

/** Whether a record that counts begins at `index`. */
export function isBoundary(t: StoreTables, m: Manifest, index: Index): boolean {
  const at = stretchAt(m, index)
  if (at === undefined) return false
  for (const _ of t.log.keys({ start: [at.generation, index], end: [at.generation, index + 1], limit: 1 })) return true
  return false
}

/** Checks a record found under the index `expected`. Throws when it is damaged, naming it. */
function checkRecord(path: string, expected: Index, bytes: Uint8Array): RecordHeader {
  try {
    const header = openRecord(bytes, nodeBytes.crc32)
    if (header.firstIndex !== expected) throw new DecodeError(`it says that it begins at ${header.firstIndex}`)
    if (header.entries < 1) throw new DecodeError('it has no entries')
    return header
  } catch (error) {
    if (error instanceof DecodeError) throw damaged(path, `log record ${expected} is damaged (${error.message})`)
    throw error
  }
}

/**
 * Gives each record from `from` on to `visit`, in order, until it answers false (that record does not count as visited).
 * Returns the exclusive end of the last one visited. Throws on a hole or a damaged record.
 */
export function scanLog(
  t: StoreTables,
  m: Manifest,
  from: Index,
  visit: (bytes: Uint8Array, header: RecordHeader) => boolean,
): Index {
  let next = from
  for (;;) {
    const at = stretchAt(m, next)
    if (at === undefined) return next
    for (const { key, value } of t.log.range({ start: [at.generation, next], end: [at.generation, at.end] })) {
      const index = positionOf(key)
      if (index !== next) throw damaged(t.path, `log record ${next} is missing (the next one is ${index})`)
      const header = checkRecord(t.path, index, value)
      if (index + header.entries > at.end)
        throw damaged(t.path, `log record ${index} reaches over the cut at ${at.end}`)
      if (!visit(value, header)) return next
      next = index + header.entries
    }
    // A stretch that ends before the next one begins has lost records.
    if (next !== at.end) {
      if (at.end !== Number.MAX_SAFE_INTEGER) throw damaged(t.path, `log records from ${next} to ${at.end} are missing`)
      return next
    }
  }
}

/** Whole records from `from`, none reaching over `to`, about maxBytes, at least one. */
export function sliceLog(t: StoreTables, m: Manifest, from: Index, to: Index, maxBytes: number): LogSlice {
  if (from >= to || !isBoundary(t, m, from)) return { from, next: from, records: NOTHING }
  const found: Uint8Array[] = []
  let bytes = 0
  const next = scanLog(t, m, from, (record, header) => {
    if (header.firstIndex + header.entries > to || (found.length > 0 && bytes + record.length > maxBytes)) return false
    found.push(record)
    bytes += record.length
    return true
  })
  if (found.length === 1) return { from, next, records: found[0]! }
  const records = new Uint8Array(bytes)
  let at = 0
  for (const record of found) {
    records.set(record, at)
    at += record.length
  }
  return { from, next, records }
}
