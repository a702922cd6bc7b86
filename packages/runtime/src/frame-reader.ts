// The receiving side of a WebSocket, once ws has shaken hands: whole binary frames are handed on as they lie in the bytes of one read,
// without a stream, an event or an object for each. At the first frame that is anything else, or wrong (control and text frames,
// fragments, masks that mask, sizes above the limit), this ends, and that frame and all that follows it go to ws as they come: ws knows
// the rules, which go beyond one frame (nothing is heard after a close, nor between fragments), closes and says why.
import { MAX_FRAME_BYTES } from '@coppice/protocol'
import { joined, uninitialized } from './node-bytes.js'

const BINARY_WHOLE = 0x82
const MASKED = 0x80
const LENGTH_16 = 126
const LENGTH_64 = 127
const MASK_BYTES = 4

/** Frames from here on are put together in memory that is used again: fresh memory of that size costs more than the copy. */
const LARGE_BYTES = 16 * 1024
/** Kept for later, at the most; many connections may have half a frame at a time. */
const MAX_SPARE = 8
const spare: Uint8Array[] = []

function takeMemory(length: number): Uint8Array {
  if (length < LARGE_BYTES) return uninitialized(length)
  return (spare.pop() ?? uninitialized(MAX_FRAME_BYTES)).subarray(0, length)
}

function giveBack(bytes: Uint8Array): void {
  if (bytes.length >= LARGE_BYTES && spare.length < MAX_SPARE) spare.push(new Uint8Array(bytes.buffer))
}

export class FrameReader {
  private readonly masked: boolean
  private readonly onFrame: (frame: Uint8Array) => void
  private readonly toWs: (bytes: Uint8Array) => void
  /** A frame whose bytes have not all come: its own bytes, and how many of them are here. */
  private whole: Uint8Array | undefined
  private have = 0
  /** The beginning of a head that was cut by the end of a read. */
  private head: Uint8Array | undefined
  /** Everything goes to ws. */
  private givenUp = false
  private ended = false

  /**
   * `masked`: whether the other end must mask (it is the one that dialed). `onFrame` gets the payload of each frame, valid for the call
   * only; `toWs` gets bytes that may be kept.
   */
  constructor(masked: boolean, onFrame: (frame: Uint8Array) => void, toWs: (bytes: Uint8Array) => void) {
    this.masked = masked
    this.onFrame = onFrame
    this.toWs = toWs
  }

  /** Nothing that comes is read any more. */
  end(): void {
    this.ended = true
    this.whole = this.head = undefined
  }

  /** Takes the bytes of one read; they may be overwritten afterwards. */
  push(read: Uint8Array): void {
    if (this.givenUp) return this.pass(read, 0)
    let bytes = read
    let at = 0
    if (this.head !== undefined) {
      bytes = joined(this.head, read)
      this.head = undefined
    }
    const end = bytes.length
    while (at < end && !this.ended) {
      if (this.whole !== undefined) at = this.fill(this.whole, bytes, at)
      else {
        const next = this.frameAt(bytes, at)
        if (this.givenUp) return this.pass(bytes, at)
        if (next === at) {
          this.head = bytes.slice(at)
          return
        }
        at = next
      }
    }
  }

  /** Reads the frame that begins at `at`; answers where to go on, `at` itself when its head is not all here, or it is for ws. */
  private frameAt(bytes: Uint8Array, at: number): number {
    const left = bytes.length - at
    if (left < 2) return at
    const second = bytes[at + 1]!
    const short = second & ~MASKED
    if (bytes[at] !== BINARY_WHOLE || (second !== short) !== this.masked) return this.giveUp(at)
    let headBytes = 2
    let length = short
    if (short === LENGTH_16) {
      headBytes = 4
      if (left < headBytes) return at
      length = bytes[at + 2]! * 256 + bytes[at + 3]!
    } else if (short === LENGTH_64) {
      headBytes = 10
      if (left < headBytes) return at
      length = 0
      for (let i = at + 2; i < at + 10; i++) length = length * 256 + bytes[i]!
    }
    if (length > MAX_FRAME_BYTES) return this.giveUp(at)
    if (this.masked) {
      if (left < headBytes + MASK_BYTES) return at
      const mask = at + headBytes
      headBytes += MASK_BYTES
      // A mask of zeros changes nothing.
      const isZero = bytes[mask] === 0 && bytes[mask + 1] === 0 && bytes[mask + 2] === 0 && bytes[mask + 3] === 0
      if (!isZero) return this.giveUp(at)
    }
    const start = at + headBytes
    if (length <= bytes.length - start) {
      this.onFrame(bytes.subarray(start, start + length))
      return start + length
    }
    this.whole = takeMemory(length)
    this.have = 0
    return start
  }

  private giveUp(at: number): number {
    this.givenUp = true
    return at
  }

  private fill(whole: Uint8Array, bytes: Uint8Array, at: number): number {
    const n = Math.min(whole.length - this.have, bytes.length - at)
    whole.set(n === bytes.length ? bytes : bytes.subarray(at, at + n), this.have)
    this.have += n
    if (this.have === whole.length) {
      this.whole = undefined
      this.onFrame(whole)
      giveBack(whole)
    }
    return at + n
  }

  private pass(bytes: Uint8Array, at: number): void {
    if (!this.ended) this.toWs(bytes.slice(at))
  }
}
