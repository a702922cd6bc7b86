// Hand-written binary layout: little-endian, 53-bit integers as two words, byte strings behind a u32 length.
// A malformed input throws DecodeError at the place where it is seen; the connection it came from is closed.
import { MAX_MESSAGE_BYTES } from './limits.js'

/** Bytes are not what they should be; whoever sent them is disconnected. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError'
}

const TWO_32 = 0x1_0000_0000
/** No bytes, shared by all who need none. */
export const EMPTY_BYTES = new Uint8Array(0)

/** Four bytes at `at`. Throws DecodeError beyond the end. */
export function readU32(b: Uint8Array, at: number): number {
  if (at + 4 > b.length) throw new DecodeError('u32 beyond the end')
  return (b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16) | (b[at + 3]! << 24)) >>> 0
}

/** Into four bytes at `at`, which must be there. */
export function writeU32(b: Uint8Array, at: number, value: number): void {
  b[at] = value
  b[at + 1] = value >>> 8
  b[at + 2] = value >>> 16
  b[at + 3] = value >>> 24
}

/** An integer below 2^53 in eight bytes. */
export function readU53(b: Uint8Array, at: number): number {
  const high = readU32(b, at + 4)
  if (high > 0x1f_ffff) throw new DecodeError('integer above 2^53')
  return high * TWO_32 + readU32(b, at)
}

/** Into eight bytes at `at`, which must be there. */
export function writeU53(b: Uint8Array, at: number, value: number): void {
  writeU32(b, at, value >>> 0)
  writeU32(b, at + 4, Math.floor(value / TWO_32))
}

/** A growing output buffer. Reused by its owner; `take` copies out, `view` lends until the next write. */
export class Writer {
  buffer: Uint8Array
  length = 0
  constructor(capacity = 256) {
    this.buffer = new Uint8Array(capacity)
  }
  reset(): void {
    this.length = 0
  }
  /** Makes room for `more` bytes and returns the offset at which they begin; the caller fills them. */
  grow(more: number): number {
    const at = this.length
    const need = at + more
    if (need > this.buffer.length) {
      const bigger = new Uint8Array(Math.max(need, this.buffer.length * 2))
      bigger.set(this.buffer.subarray(0, at))
      this.buffer = bigger
    }
    this.length = need
    return at
  }
  u8(value: number): void {
    // Grown first: growing may replace the buffer.
    const at = this.grow(1)
    this.buffer[at] = value
  }
  u32(value: number): void {
    const at = this.grow(4)
    writeU32(this.buffer, at, value)
  }
  u53(value: number): void {
    const at = this.grow(8)
    writeU53(this.buffer, at, value)
  }
  raw(bytes: Uint8Array): void {
    const at = this.grow(bytes.length)
    this.buffer.set(bytes, at)
  }
  rawRange(bytes: Uint8Array, start: number, end: number): void {
    const n = end - start
    const at = this.grow(n)
    if (n < 48) for (let i = 0; i < n; i++) this.buffer[at + i] = bytes[start + i]!
    else this.buffer.set(bytes.subarray(start, end), at)
  }
  /** A byte string: u32 length, then the bytes. */
  bytes(bytes: Uint8Array): void {
    this.u32(bytes.length)
    this.raw(bytes)
  }
  view(): Uint8Array {
    return this.buffer.subarray(0, this.length)
  }
  take(): Uint8Array {
    return this.buffer.slice(0, this.length)
  }
  /** Gives the written bytes away with the buffer they are in, and begins an empty one of `capacity`: what is large is not copied. */
  giveAway(capacity: number): Uint8Array {
    const bytes = this.view()
    this.buffer = new Uint8Array(capacity)
    this.length = 0
    return bytes
  }
}

/** A cursor over received bytes; nothing is copied. */
export class Reader {
  readonly buffer: Uint8Array
  at: number
  readonly end: number
  constructor(buffer: Uint8Array, at = 0, end = buffer.length) {
    this.buffer = buffer
    this.at = at
    this.end = end
  }
  /** Moves over `n` bytes and returns where they began. */
  skip(n: number): number {
    const at = this.at
    if (n < 0 || n > MAX_MESSAGE_BYTES || at + n > this.end) throw new DecodeError(`${n} bytes beyond the end`)
    this.at = at + n
    return at
  }
  u8(): number {
    return this.buffer[this.skip(1)]!
  }
  u32(): number {
    return readU32(this.buffer, this.skip(4))
  }
  u53(): number {
    return readU53(this.buffer, this.skip(8))
  }
  /** A view of the next byte string. */
  bytes(): Uint8Array {
    const n = this.u32()
    const at = this.skip(n)
    return this.buffer.subarray(at, at + n)
  }
  /** A view of all that is left. */
  rest(): Uint8Array {
    const at = this.at
    this.at = this.end
    return this.buffer.subarray(at, this.end)
  }
  /** Throws unless everything was consumed: an unknown tail is a malformed message. */
  finish(): void {
    if (this.at !== this.end) throw new DecodeError(`${this.end - this.at} bytes too many`)
  }
}
