// Ranges and counts are answered (PROTOCOL 4): one page of keys in their order, forwards or backwards, and the version it depends on, which
// covers the deletes between its first and its last key.
import { MAX_PAGE_BYTES, readU32, writeU32, type Index, type Writer } from '@coppice/protocol'
import { readU16 } from './operation-parts.js'
import { RANGE_BEHIND_START, RANGE_KEYS_ONLY, RANGE_REVERSE } from './queries.js'
import type { Table } from './table.js'

/** Answers the range query at `start`; it was validated. */
export function readRange(table: Table, b: Uint8Array, start: number, out: Writer): Index {
  const flags = b[start + 2]!
  const keysOnly = (flags & RANGE_KEYS_ONLY) !== 0
  const behindStart = (flags & RANGE_BEHIND_START) !== 0
  const reverse = (flags & RANGE_REVERSE) !== 0
  const limit = readU32(b, start + 3)
  const fromAt = start + 9
  const fromEnd = fromAt + readU16(b, start + 7)
  const toAt = fromEnd + 2
  const toEnd = toAt + readU16(b, fromEnd)
  const bounded = toEnd > toAt
  const moreAt = out.grow(1)
  const countAt = out.grow(4)
  const first = out.length
  let count = 0
  let more = false
  let version = 0
  const visit = (handle: number): boolean => {
    if (reverse) {
      const order = table.compareKey(handle, b, fromAt, fromEnd)
      if (order < 0 || (order === 0 && behindStart)) return false
    } else if (bounded && table.compareKey(handle, b, toAt, toEnd) >= 0) return false
    const valueBytes = keysOnly ? 0 : table.valueLengthOf(handle)
    const full = out.length - first + valueBytes + table.keyLengthOf(handle) > MAX_PAGE_BYTES
    // That there is more is part of the answer.
    version = Math.max(version, table.versionOf(handle))
    if (count === limit || (count > 0 && full)) {
      more = true
      return false
    }
    const keyLength = table.keyLengthOf(handle)
    out.u8(keyLength)
    out.u8(keyLength >>> 8)
    table.writeKey(handle, out)
    out.u53(table.versionOf(handle))
    out.u32(valueBytes)
    if (!keysOnly) table.writeValue(handle, out)
    count++
    return true
  }
  const hidden = reverse ? table.scanBack(b, toAt, toEnd, visit) : table.scan(b, fromAt, fromEnd, behindStart, visit)
  out.buffer[moreAt] = more ? 1 : 0
  writeU32(out.buffer, countAt, count)
  return Math.max(version, hidden)
}

/** Answers the count query at `start`: u53. It looks at leaves, not at keys, so what it depends on is not known: the caller says. */
export function readCount(table: Table, b: Uint8Array, start: number, out: Writer): void {
  const behindStart = (b[start + 2]! & RANGE_BEHIND_START) !== 0
  const fromAt = start + 5
  const fromEnd = fromAt + readU16(b, start + 3)
  const toAt = fromEnd + 2
  out.u53(table.countKeys(b, fromAt, fromEnd, behindStart, toAt, toAt + readU16(b, fromEnd)))
}
