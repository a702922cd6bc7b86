// The injected byte functions, plain and slow: enough for tests.
import { crc32 } from 'node:zlib'
import type { BytesPort } from '@coppice/protocol'

export const testBytes: BytesPort = {
  latin1: (b, start, end) => Buffer.from(b.buffer, b.byteOffset + start, end - start).toString('latin1'),
  writeLatin1: (target, text, offset) => {
    const from = Buffer.from(text, 'latin1')
    target.set(from, offset)
    return from.length
  },
  utf8: (b, start, end) => Buffer.from(b.buffer, b.byteOffset + start, end - start).toString('utf8'),
  writeUtf8: (target, text, offset) => {
    const from = Buffer.from(text, 'utf8')
    target.set(from, offset)
    return from.length
  },
  utf8Length: (text) => Buffer.byteLength(text),
  crc32: (b, start, end) => crc32(b.subarray(start, end)),
}

/** Uniform numbers in [0, 1) from a seed. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}
