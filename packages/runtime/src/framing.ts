// Transport frames: what one WebSocket frame holds (rule R6). A first byte below 0xf0 is the kind of a whole small message, so that the
// common case needs no header and no copy; from 0xf0 on it is one of these:
//
//   hello, refused      JSON: who is speaking, or why the other end may not
//   ping                clusterId of the sender, UTF-8
//   first               u32 stream · u32 total bytes of the message · bytes
//   middle, last        u32 stream · bytes
import { DecodeError, EMPTY_BYTES, FRAGMENT_BYTES, MAX_MESSAGE_BYTES, readU32, writeU32 } from '@coppice/protocol'
import { uninitialized } from './node-bytes.js'

export const FRAME_HELLO = 0xf0
export const FRAME_REFUSED = 0xf1
export const FRAME_PING = 0xf2
export const FRAME_FIRST = 0xf3
export const FRAME_MIDDLE = 0xf4
export const FRAME_LAST = 0xf5
/** Message kinds of the codec are below this. */
export const FIRST_TRANSPORT_KIND = 0xf0

const FIRST_HEADER_BYTES = 9
const NEXT_HEADER_BYTES = 5
/** Messages in pieces at one time; a sender finishes one before it begins the next. */
const MAX_STREAMS = 4

/** Whether a frame of this kind is a piece of a message. */
export function isFragment(kind: number | undefined): boolean {
  return kind !== undefined && kind >= FRAME_FIRST && kind <= FRAME_LAST
}

/** A frame of `kind` around `body`. */
export function frameOf(kind: number, body: Uint8Array): Uint8Array {
  const frame = new Uint8Array(1 + body.length)
  frame[0] = kind
  frame.set(body, 1)
  return frame
}

/** Cuts one big message, which is `bytes` followed by `tail`, into fragments, one at a time. */
export class Fragmenter {
  /** Bytes that many messages may share; tells a repetition from something new. */
  readonly tail: Uint8Array
  private readonly bytes: Uint8Array
  private readonly stream: number
  private at = 0

  constructor(bytes: Uint8Array, stream: number, tail: Uint8Array = EMPTY_BYTES) {
    this.bytes = bytes
    this.stream = stream
    this.tail = tail
  }

  get bytesLeft(): number {
    return this.bytes.length + this.tail.length - this.at
  }

  next(): Uint8Array {
    const first = this.at === 0
    const n = Math.min(FRAGMENT_BYTES, this.bytesLeft)
    const header = first ? FIRST_HEADER_BYTES : NEXT_HEADER_BYTES
    const frame = uninitialized(header + n)
    frame[0] = first ? FRAME_FIRST : n === this.bytesLeft ? FRAME_LAST : FRAME_MIDDLE
    writeU32(frame, 1, this.stream)
    if (first) writeU32(frame, NEXT_HEADER_BYTES, this.bytesLeft)
    const { bytes, tail, at } = this
    const end = at + n
    const fromBytes = Math.max(0, Math.min(bytes.length, end) - at)
    if (fromBytes > 0) frame.set(bytes.subarray(at, at + fromBytes), header)
    if (fromBytes < n) frame.set(tail.subarray(at + fromBytes - bytes.length, end - bytes.length), header + fromBytes)
    this.at = end
    return frame
  }
}

interface Assembling {
  readonly bytes: Uint8Array
  length: number
}

/** Puts fragments together again, within bounds on messages and bytes. Throws DecodeError naming what is wrong. */
export class Reassembly {
  private readonly byStream = new Map<number, Assembling>()
  private announced = 0

  /** Takes one first, middle or last frame; answers the message that it completes. */
  add(frame: Uint8Array): Uint8Array | undefined {
    const kind = frame[0]
    const stream = readU32(frame, 1)
    if (kind === FRAME_FIRST) {
      this.begin(stream, frame)
      return undefined
    }
    const message = this.byStream.get(stream)
    if (message === undefined) throw new DecodeError(`fragment of message ${stream}, which was not begun`)
    append(message, frame.subarray(NEXT_HEADER_BYTES))
    if (kind === FRAME_MIDDLE) return undefined
    if (message.length !== message.bytes.length) {
      throw new DecodeError(`message of ${message.bytes.length} bytes ended after ${message.length}`)
    }
    this.byStream.delete(stream)
    this.announced -= message.bytes.length
    return message.bytes
  }

  private begin(stream: number, frame: Uint8Array): void {
    const total = readU32(frame, NEXT_HEADER_BYTES)
    if (this.byStream.has(stream)) throw new DecodeError(`message ${stream} was begun twice`)
    if (this.byStream.size >= MAX_STREAMS)
      throw new DecodeError(`more than ${MAX_STREAMS} messages in fragments at once`)
    // What is announced is allocated, so it is bounded before anything else.
    if (total > MAX_MESSAGE_BYTES || this.announced + total > 2 * MAX_MESSAGE_BYTES) {
      throw new DecodeError(`message of ${total} bytes is above the limit of ${MAX_MESSAGE_BYTES}`)
    }
    const message = { bytes: uninitialized(total), length: 0 }
    append(message, frame.subarray(FIRST_HEADER_BYTES))
    this.byStream.set(stream, message)
    this.announced += total
  }
}

function append(message: Assembling, piece: Uint8Array): void {
  if (piece.length > message.bytes.length - message.length) {
    throw new DecodeError(`message of ${message.bytes.length} bytes has more fragments than that`)
  }
  message.bytes.set(piece, message.length)
  message.length += piece.length
}
