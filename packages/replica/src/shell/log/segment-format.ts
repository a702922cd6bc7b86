// The layout of a log segment (PROTOCOL 7): a file that was filled with zeros and made durable before it is used, so that a durable write
// into it changes no file system metadata. Little-endian.
//
//   header, at 0, HEADER_BYTES:   8 bytes magic · u32 number · u32 tag · u32 CRC of the 16 bytes before · u32 store
//   frames, from HEADER_BYTES on: u32 tag · u32 group · u32 marks · u32 length · u32 CRC of the 16 bytes before · record
//
// `store` is the CRC of the storeId, so that a file copied from elsewhere is noticed; 0 in files from before it was written.
// `tag` is drawn anew whenever a file is taken into use again, so that frames of its earlier life are not this segment's. `group` is where
// the write began that this frame was part of: everything before it was durable then, which tells damage from a torn end. `marks` is 0,
// or the number of the mixed effect this record belongs to: it counts only once the marks in lmdb say that number.
import { crc32 } from 'node:zlib'
import { readU32, writeU32 } from '@coppice/protocol'

/** Bytes of a log segment before its first frame. */
export const HEADER_BYTES = 4_096
/** Bytes of a frame before its record. */
export const FRAME_BYTES = 20
const CHECKED_BYTES = 16
const MAGIC = Buffer.from('COPLOG2\n', 'latin1')

export interface SegmentHeader {
  readonly number: number
  readonly tag: number
  readonly store: number
}

export function encodeHeader({ number, tag, store }: SegmentHeader): Uint8Array {
  const b = new Uint8Array(HEADER_BYTES)
  b.set(MAGIC)
  writeU32(b, 8, number)
  writeU32(b, 12, tag)
  writeU32(b, 16, crc32(b.subarray(0, CHECKED_BYTES)))
  writeU32(b, 20, store)
  return b
}

/** Undefined: this is no header, or a damaged one. */
export function decodeHeader(b: Uint8Array): SegmentHeader | undefined {
  if (b.length < HEADER_BYTES || Buffer.compare(MAGIC, b.subarray(0, MAGIC.length)) !== 0) return undefined
  if (readU32(b, 16) !== crc32(b.subarray(0, CHECKED_BYTES))) return undefined
  return { number: readU32(b, 8), tag: readU32(b, 12), store: readU32(b, 20) }
}

/** Writes the head of one frame to target[0 … FRAME_BYTES). */
export function writeFrameHead(target: Uint8Array, tag: number, group: number, marks: number, length: number): void {
  writeU32(target, 0, tag)
  writeU32(target, 4, group)
  writeU32(target, 8, marks)
  writeU32(target, 12, length)
  writeU32(target, 16, crc32(target.subarray(0, CHECKED_BYTES)))
}

export interface FrameHead {
  readonly group: number
  readonly marks: number
  /** Of the record behind it. */
  readonly length: number
}

/** The head of a frame of this segment at `at`; undefined: there is none. */
export function frameHeadAt(b: Uint8Array, at: number, tag: number): FrameHead | undefined {
  if (at + FRAME_BYTES > b.length || readU32(b, at) !== tag) return undefined
  if (readU32(b, at + CHECKED_BYTES) !== crc32(b.subarray(at, at + CHECKED_BYTES))) return undefined
  return { group: readU32(b, at + 4), marks: readU32(b, at + 8), length: readU32(b, at + 12) }
}
