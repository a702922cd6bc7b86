// A query for several keys is answered (PROTOCOL 4): under its guards, all values at one index, and the version that they depend on.
import { MAX_PAGE_BYTES, writeU32, type Index, type Writer } from '@coppice/protocol'
import { brokenGuard, fenceOf } from './lock-record.js'
import { readU16, writeU16 } from './operation-parts.js'
import type { Table } from './table.js'

/** Answers the query at `start`; it was validated. */
export function readMany(keys: Table, locks: Table, b: Uint8Array, start: number, out: Writer): Index {
  let version = 0
  const guards = readU16(b, start + 1)
  let at = start + 3
  for (let i = 0; i < guards; i++) {
    const end = at + 2 + readU16(b, at)
    const handle = locks.find(b, at + 2, end)
    // The answer depends on the guards too, whichever way they go.
    version = Math.max(version, handle === 0 ? locks.missingVersion() : locks.versionOf(handle))
    if (brokenGuard(locks, b, at, 1) === 0) {
      out.u8(1)
      writeU16(out, i)
      out.u53(fenceOf(locks, b, at + 2, end))
      return version
    }
    at = end + 8
  }
  out.u8(0)
  const count = readU16(b, at)
  at += 2
  const countAt = out.grow(4)
  const first = out.length
  let done = 0
  for (; done < count; done++) {
    const end = at + 2 + readU16(b, at)
    const handle = keys.find(b, at + 2, end)
    // A full answer ends early and says how far it came; the first value always fits.
    if (done > 0 && out.length - first + (handle === 0 ? 0 : keys.valueLengthOf(handle)) > MAX_PAGE_BYTES) break
    version = Math.max(version, handle === 0 ? keys.missingVersion() : keys.versionOf(handle))
    out.u8(handle === 0 ? 0 : 1)
    if (handle !== 0) {
      out.u53(keys.versionOf(handle))
      out.u32(keys.valueLengthOf(handle))
      keys.writeValue(handle, out)
    }
    at = end
  }
  writeU32(out.buffer, countAt, done)
  return version
}
