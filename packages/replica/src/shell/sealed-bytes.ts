// A value behind its own checksum: lmdb keeps none, so every value that is not a log record (which brings its own) is stored as
// u32 CRC · bytes.
import { crc32 } from 'node:zlib'
import { readU32, writeU32 } from '@coppice/protocol'

export function sealBytes(bytes: Uint8Array): Uint8Array {
  const sealed = new Uint8Array(4 + bytes.length)
  writeU32(sealed, 0, crc32(bytes))
  sealed.set(bytes, 4)
  return sealed
}

/** The bytes without their checksum; undefined when they are damaged. */
export function openSealed(sealed: Uint8Array): Uint8Array | undefined {
  if (sealed.length < 4) return undefined
  const bytes = sealed.subarray(4)
  return crc32(bytes) === readU32(sealed, 0) ? bytes : undefined
}

export function sealJson(value: object): Uint8Array {
  return sealBytes(Buffer.from(JSON.stringify(value), 'utf8'))
}
