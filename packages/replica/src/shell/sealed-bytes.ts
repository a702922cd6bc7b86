// A value behind its own checksum: lmdb keeps none, so every value that is not a log record (which brings its own) is stored as
// u32 CRC · bytes.
import { crc32 } from 'node:zlib'
import { readU32, writeU32 } from '@coppice/protocol'

export const SEAL_BYTES = 4

/** `sealed`: where to put it, SEAL_BYTES longer than the bytes. */
export function sealBytes(
  bytes: Uint8Array,
  sealed: Uint8Array = new Uint8Array(SEAL_BYTES + bytes.length),
): Uint8Array {
  writeU32(sealed, 0, crc32(bytes))
  sealed.set(bytes, SEAL_BYTES)
  return sealed
}

/** The bytes without their checksum; undefined when they are damaged. */
export function openSealed(sealed: Uint8Array): Uint8Array | undefined {
  if (sealed.length < SEAL_BYTES) return undefined
  const bytes = sealed.subarray(SEAL_BYTES)
  return crc32(bytes) === readU32(sealed, 0) ? bytes : undefined
}

export function sealJson(value: object): Uint8Array {
  return sealBytes(Buffer.from(JSON.stringify(value), 'utf8'))
}
