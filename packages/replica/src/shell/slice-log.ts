// A piece of the log for whoever asks for a delta (PROTOCOL 5): whole records only.
import type { Index } from '@coppice/protocol'
import type { SegmentLog } from './log/segment-log.js'
import type { Manifest } from './manifest.js'
import type { LogSlice } from './storage.js'

const NOTHING = new Uint8Array(0)

/** Whole records from `from`, none reaching over `to`, about maxBytes, at least one; nothing when `from` is no boundary. */
export function sliceLog(log: SegmentLog, m: Manifest, from: Index, to: Index, maxBytes: number): LogSlice {
  const found: Uint8Array[] = []
  let bytes = 0
  let next = from
  for (const { header, record } of log.records(m, from)) {
    if (header.firstIndex !== next) break
    const end = header.firstIndex + header.entries
    if (end > to || (found.length > 0 && bytes + record.length > maxBytes)) break
    found.push(record)
    bytes += record.length
    next = end
  }
  if (found.length === 0) return { from, next: from, records: NOTHING }
  if (found.length === 1) return { from, next, records: found[0]! }
  const records = new Uint8Array(bytes)
  let at = 0
  for (const record of found) {
    records.set(record, at)
    at += record.length
  }
  return { from, next, records }
}
