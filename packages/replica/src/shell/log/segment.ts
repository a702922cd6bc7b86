// One segment of the log as an open file: where its records lie, and reading them. It is written by log-writer.ts.
import { closeSync, constants, fdatasyncSync, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import type { Index } from '@coppice/protocol'
import { FRAME_BYTES, frameHeadAt, HEADER_BYTES, type FrameHead } from './segment-format.js'

/** So many bytes lie between two remembered places at the least. */
const MARK_EVERY_BYTES = 64 * 1024
/** Bytes read at once by whoever walks over records. */
const WINDOW_BYTES = 512 * 1024
const NO_BYTES = new Uint8Array(0)
const ZEROS = new Uint8Array(WINDOW_BYTES)

/** Durable when the call returns; where the platform has no such flag, the writer flushes by itself. */
export const O_DSYNC = (constants as { O_DSYNC?: number }).O_DSYNC ?? 0

export interface StoredFrame {
  /** Where its head begins in the file. */
  readonly at: number
  readonly marks: number
  /** Not checked. A view that nobody else writes to. */
  readonly record: Uint8Array
}

export class Segment {
  readonly number: number
  readonly path: string
  readonly tag: number
  readonly fd: number
  /** Bytes of the file; a record larger than any segment makes its own longer. */
  capacity: number
  /** First index of its first record; 0: it has none. */
  firstIndex: Index = 0
  /** Exclusive end of its records. */
  end: Index = 0
  /** Where the next frame goes. */
  at = HEADER_BYTES
  /** Where that ends which a torn write left behind `at`; 0: there is nothing. */
  tornTo = 0
  /** Places of some records: index, offset, index, offset … */
  private readonly marks: number[] = []

  constructor(path: string, number: number, tag: number) {
    this.path = path
    this.number = number
    this.tag = tag
    this.fd = openSync(path, constants.O_RDWR | O_DSYNC)
    this.capacity = fstatSync(this.fd).size
  }

  get empty(): boolean {
    return this.firstIndex === 0
  }

  get bytes(): number {
    return this.at - HEADER_BYTES
  }

  /** A record lies at `at`, which is where the last one ended. */
  added(at: number, firstIndex: Index, entries: number, length: number): void {
    if (this.empty) this.firstIndex = firstIndex
    const { marks } = this
    if (marks.length === 0 || at - marks[marks.length - 1]! >= MARK_EVERY_BYTES) marks.push(firstIndex, at)
    this.end = firstIndex + entries
    this.at = at + FRAME_BYTES + length
    if (this.at > this.capacity) this.capacity = this.at
  }

  /** The place of a record at or before the one that holds `index`. */
  placeBefore(index: Index): { readonly at: number; readonly firstIndex: Index } {
    const { marks } = this
    let low = 0
    let high = marks.length >> 1
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if (marks[2 * middle]! <= index) low = middle
      else high = middle
    }
    return { firstIndex: marks[2 * low] ?? this.firstIndex, at: marks[2 * low + 1] ?? HEADER_BYTES }
  }

  /** Frames from `at` on, as far as they are known to be this segment's; stops at the first that is not. */
  *frames(at = HEADER_BYTES, until = this.at): Generator<StoredFrame, void, void> {
    let window: Uint8Array = NO_BYTES
    let windowAt = at
    const need = (from: number, bytes: number): Uint8Array => {
      if (from < windowAt || from + bytes > windowAt + window.length) {
        window = this.read(from, Math.max(bytes, Math.min(WINDOW_BYTES, until - from)))
        windowAt = from
      }
      return window
    }
    while (at + FRAME_BYTES <= until) {
      const head = frameHeadAt(need(at, FRAME_BYTES), at - windowAt, this.tag)
      if (head === undefined || at + FRAME_BYTES + head.length > until) return
      const bytes = need(at, FRAME_BYTES + head.length)
      const from = at - windowAt + FRAME_BYTES
      if (from + head.length > bytes.length) return
      yield { at, marks: head.marks, record: bytes.subarray(from, from + head.length) }
      at += FRAME_BYTES + head.length
    }
  }

  /** The frame heads of this segment that lie at or behind `at`, wherever they are. */
  *headsBehind(at: number): Generator<FrameHead & { readonly end: number }, void, void> {
    const bytes = this.read(at, this.capacity - at)
    const tag = Buffer.from([this.tag & 0xff, (this.tag >>> 8) & 0xff, (this.tag >>> 16) & 0xff, this.tag >>> 24])
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    for (let i = buffer.indexOf(tag); i >= 0; i = buffer.indexOf(tag, i + 1)) {
      const head = frameHeadAt(bytes, i, this.tag)
      if (head !== undefined) yield { ...head, end: at + i + FRAME_BYTES }
    }
  }

  /** Wipes out, durably, what a torn write left: nothing of it may ever be taken for a record, whatever is written here later. */
  cutTorn(): void {
    for (let at = this.at; at < this.tornTo; at += ZEROS.length) {
      writeSync(this.fd, ZEROS, 0, Math.min(ZEROS.length, this.tornTo - at), at)
    }
    if (this.tornTo > 0 && O_DSYNC === 0) fdatasyncSync(this.fd)
    this.tornTo = 0
  }

  /** The bytes there are at `at`, at most `length`. */
  private read(at: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    const n = readSync(this.fd, bytes, 0, length, at)
    return n === length ? bytes : bytes.subarray(0, n)
  }

  close(): void {
    closeSync(this.fd)
  }
}
