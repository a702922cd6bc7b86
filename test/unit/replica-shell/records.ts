// Log records whose payload is a pattern, so that tests can find it in the store's file.
import { RECORD_HEADER_BYTES, RUN_BARRIER, sealRecord, type Index } from '@coppice/protocol'
import type { DiskWrite } from '@coppice/replica'
import { nodeBytes } from '@coppice/runtime'

/** A record of `entries` entries; `fill` makes its payload findable in the file. */
export function recordOf(
  firstIndex: Index,
  entries = 1,
  payload = 8,
  fill = 0x5a,
): Extract<DiskWrite, { kind: 'record' }> {
  const bytes = new Uint8Array(RECORD_HEADER_BYTES + payload).fill(fill, RECORD_HEADER_BYTES)
  bytes[RECORD_HEADER_BYTES] = RUN_BARRIER
  sealRecord(bytes, { epoch: 1, firstIndex, entries, elapsedMs: 0 }, nodeBytes.crc32)
  return { kind: 'record', firstIndex, entries, bytes }
}
