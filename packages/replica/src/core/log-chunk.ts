// What a source shipped of its log, split into records and checked (PROTOCOL 5): all of it before any is applied.
import { DecodeError, epochAt, openRecord, readU32 } from '@coppice/protocol'
import type { Index, Lineage, LogChunkMessage, RecordHeader } from '@coppice/protocol'

export interface CheckedRecord {
  readonly header: RecordHeader
  readonly bytes: Uint8Array
}

/**
 * The records are views of the message, whose bytes are its own. Throws a DecodeError when a record is damaged, leaves a gap, reaches beyond
 * `to`, or is of another history than `lineage`.
 */
export function checkedRecords(
  m: LogChunkMessage,
  { to, lineage }: { readonly to: Index; readonly lineage: Lineage | undefined },
  crc32: (bytes: Uint8Array, start: number, end: number) => number,
): readonly CheckedRecord[] {
  const records: CheckedRecord[] = []
  let next = m.from
  for (let at = 0; at < m.records.length;) {
    const end = at + 4 + readU32(m.records, at)
    const bytes = m.records.subarray(at, end)
    const header = openRecord(bytes, crc32)
    if (header.firstIndex !== next) throw new DecodeError(`record at ${header.firstIndex} where ${next} follows`)
    next += header.entries
    if (next > to) throw new DecodeError(`record up to ${next}, beyond ${to}`)
    // Shipped with its original epoch, which must be the one its index had at the source that was planned with.
    if (lineage !== undefined && epochAt(lineage, header.firstIndex) !== header.epoch) {
      throw new DecodeError(`record at ${header.firstIndex} is of epoch ${header.epoch}`)
    }
    records.push({ header, bytes })
    at = end
  }
  return records
}
