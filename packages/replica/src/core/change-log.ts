// The newest changes, for those who watch: a ring of append-only chunks, bounded by bytes. Part of the replicated state (PROTOCOL 5 R5): what
// it holds depends on the entries applied and on nothing else, and every checkpoint carries it, so that a member of any past can serve a
// watcher that resumes from before.
import {
  assert,
  CHANGE_CHUNK_BYTES,
  CHANGE_HEADER_BYTES,
  CHANGE_LOG_BYTES,
  changeEnd,
  changeIndex,
  DecodeError,
  GENESIS_NEXT,
  MAX_MESSAGE_BYTES,
  Reader,
  Writer,
  writeChangeHeader,
} from '@coppice/protocol'
import type { BytesPort, Index } from '@coppice/protocol'
import type { ChangeSink } from './state-machine.js'

/** Below this a loop is cheaper than a call into the engine. */
const SHORT = 48
/** Of a small log. */
const LEAST_CHUNK_BYTES = 256

/** Place of a change in this process's log: bytes of changes before it. */
export type Position = number

interface Chunk {
  readonly bytes: Uint8Array
  /** Bytes of it that are changes; it only grows. */
  length: number
  /** Position of its first byte. */
  readonly at: Position
  lastIndex: Index
}

/** What a walk over the changes shows one after the other; false: it ends before this one. */
export type Visit = (chunk: Uint8Array, start: number, end: number, index: Index) => boolean

const PIECE_CHUNK = 0
const PIECE_MORE = 1

/** The newest changes, in a bounded ring. */
export class ChangeLog implements ChangeSink {
  /** The entry that is being applied. */
  index: Index = 0
  /** From this index on every change is here. */
  floor: Index = GENESIS_NEXT
  readonly #limitBytes: number
  readonly #chunkBytes: number
  #chunks: Chunk[] = []
  /** Memory of the chunks. */
  #bytes = 0
  #capture: ChangeCapture | undefined
  /** Memory of a dropped chunk, for the next one. */
  #spare: Uint8Array | undefined

  /** `limitBytes` is the same at all members: what is dropped is part of the state. */
  constructor(limitBytes: number = CHANGE_LOG_BYTES) {
    this.#limitBytes = limitBytes
    this.#chunkBytes = Math.min(CHANGE_CHUNK_BYTES, Math.max(LEAST_CHUNK_BYTES, limitBytes >> 3))
  }

  /** Position of the oldest change. */
  get start(): Position {
    return this.#chunks[0]?.at ?? 0
  }
  /** Position behind the newest change. */
  get end(): Position {
    const last = this.#chunks.at(-1)
    return last === undefined ? 0 : last.at + last.length
  }

  change(
    stream: number,
    kind: number,
    topic: Uint8Array,
    topicStart: number,
    topicEnd: number,
    payload: Uint8Array,
    payloadStart: number,
    payloadEnd: number,
  ): void {
    const topicBytes = topicEnd - topicStart
    const payloadBytes = payloadEnd - payloadStart
    const chunk = this.#room(CHANGE_HEADER_BYTES + topicBytes + payloadBytes)
    const { bytes, length } = chunk
    writeChangeHeader(bytes, length, this.index, stream, kind, topicBytes, payloadBytes)
    const at = length + CHANGE_HEADER_BYTES
    copy(bytes, at, topic, topicStart, topicEnd)
    copy(bytes, at + topicBytes, payload, payloadStart, payloadEnd)
    chunk.length = at + topicBytes + payloadBytes
    chunk.lastIndex = this.index
  }

  /** Position of the first change of entry `index` or a later one. */
  seek(index: Index): Position {
    const chunks = this.#chunks
    let low = 0
    let high = chunks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (chunks[middle]!.lastIndex < index) low = middle + 1
      else high = middle
    }
    const chunk = chunks[low]
    if (chunk === undefined) return this.end
    let at = 0
    while (changeIndex(chunk.bytes, at) < index) at = changeEnd(chunk.bytes, at)
    return chunk.at + at
  }

  /**
   * Shows the changes in [from, to) until `visit` says stop, or `maxBytes` were shown; answers where it stopped. `from` is the place of a change
   * that is still here.
   */
  scan(from: Position, to: Position, maxBytes: number, visit: Visit): Position {
    const limit = Math.min(to, from + maxBytes)
    let position = from
    for (let i = this.#chunkAt(from); position < limit; i++) {
      const { bytes, length, at } = this.#chunks[i]!
      for (let start = position - at; start < length && at + start < limit;) {
        const end = changeEnd(bytes, start)
        if (!visit(bytes, start, end, changeIndex(bytes, start))) return at + start
        start = end
        position = at + start
      }
    }
    return position
  }

  /** Index of the change at a position below `end`. */
  indexAt(position: Position): Index {
    const { bytes, at } = this.#chunks[this.#chunkAt(position)]!
    return changeIndex(bytes, position - at)
  }

  /** Begins a capture of the log as it is; one at a time. Chunks only grow: their lengths are the image. */
  capture(): ChangeCapture {
    const images = this.#chunks.map(({ bytes, length }) => ({ bytes, length }))
    const capture = new ChangeCapture(images, () => {
      if (this.#capture === capture) this.#capture = undefined
    })
    this.#capture = capture
    return capture
  }

  /** Begins to load a capture. */
  loader(): ChangeLoader {
    return new ChangeLoader((floor, images) => this.#take(floor, images))
  }

  /** Of all that is here: equal at members at one index. */
  hash({ crc32 }: BytesPort): string {
    const sums = this.#chunks.map(({ bytes, length }) => `${length}:${crc32(bytes, 0, length).toString(16)}`)
    return `${this.floor}:${sums.join(',')}`
  }

  #take(floor: Index, images: readonly ChunkImage[]): void {
    assert(this.#chunks.length === 0, 'changes are loaded into an empty log')
    this.floor = floor
    for (const { bytes, length } of images) {
      let lastIndex = 0
      for (let at = 0; at < length; at = changeEnd(bytes, at)) lastIndex = changeIndex(bytes, at)
      this.#chunks.push({ bytes, length, at: this.end, lastIndex })
      this.#bytes += bytes.length
    }
  }

  /** The chunk that takes so many bytes more. */
  #room(bytes: number): Chunk {
    const last = this.#chunks.at(-1)
    const large = this.#isLarge(bytes)
    if (last !== undefined && !large && last.length + bytes <= last.bytes.length) return last
    const memory = large ? new Uint8Array(bytes) : this.#usualMemory()
    const chunk = { bytes: memory, length: 0, at: this.end, lastIndex: this.index }
    this.#chunks.push(chunk)
    this.#bytes += memory.length
    while (this.#bytes > this.#limitBytes && this.#chunks.length > 1) this.#drop()
    return chunk
  }

  #usualMemory(): Uint8Array {
    const spare = this.#spare
    this.#spare = undefined
    return spare ?? new Uint8Array(this.#chunkBytes)
  }

  #drop(): void {
    const { bytes, lastIndex } = this.#chunks.shift()!
    this.#bytes -= bytes.length
    // Of an entry that made more changes than were dropped the rest is of no use.
    this.floor = lastIndex + 1
    // What a capture reads, and what is sent from where it lies, stays as it is.
    if (this.#capture === undefined && !this.#isLarge(changeEnd(bytes, 0))) this.#spare = bytes
  }

  /** A change so large has a chunk of its own: what follows it is not far behind, and it can be sent from where it lies. */
  #isLarge(bytes: number): boolean {
    return bytes * 2 > this.#chunkBytes
  }

  #chunkAt(position: Position): number {
    const chunks = this.#chunks
    let low = 0
    let high = chunks.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (chunks[middle]!.at <= position) low = middle
      else high = middle - 1
    }
    return low
  }
}

/** A chunk of changes as it was at one moment. */
export interface ChunkImage {
  readonly bytes: Uint8Array
  readonly length: number
}

/** The change log at one moment, given out in pieces. */
export class ChangeCapture {
  readonly #ended: () => void
  readonly #out = new Writer(64)
  #images: readonly ChunkImage[]
  #next = 0
  /** Bytes of the present chunk that were given. */
  #given = 0

  constructor(images: readonly ChunkImage[], ended: () => void) {
    this.#images = images
    this.#ended = ended
  }

  /** The next piece of at most `maxBytes` and a header, lent until the next call; undefined at the end. */
  next(maxBytes: number): Uint8Array | undefined {
    const out = this.#out
    out.reset()
    const image = this.#images[this.#next]
    if (image === undefined) {
      this.release()
      return undefined
    }
    const to = Math.min(image.length, this.#given + maxBytes)
    if (this.#given > 0) out.u8(PIECE_MORE)
    else {
      out.u8(PIECE_CHUNK)
      out.u32(image.bytes.length)
    }
    out.rawRange(image.bytes, this.#given, to)
    this.#given = to
    if (to === image.length) {
      this.#next++
      this.#given = 0
    }
    return out.view()
  }

  release(): void {
    this.#images = []
    this.#ended()
  }
}

/** Takes the pieces of a capture in their order. */
export class ChangeLoader {
  readonly #done: (floor: Index, images: readonly ChunkImage[]) => void
  readonly #images: { readonly bytes: Uint8Array; length: number }[] = []

  constructor(done: (floor: Index, images: readonly ChunkImage[]) => void) {
    this.#done = done
  }

  add(piece: Uint8Array): void {
    const r = new Reader(piece)
    const kind = r.u8()
    if (kind === PIECE_CHUNK) {
      const capacity = r.u32()
      if (capacity > MAX_MESSAGE_BYTES) throw new DecodeError(`a chunk of ${capacity} bytes of changes`)
      this.#images.push({ bytes: new Uint8Array(capacity), length: 0 })
    } else if (kind !== PIECE_MORE) throw new DecodeError(`unknown piece ${kind} of a change log`)
    const image = this.#images.at(-1)
    const rest = r.rest()
    if (image === undefined || image.length + rest.length > image.bytes.length)
      throw new DecodeError('a piece of a change log is longer than its chunk')
    image.bytes.set(rest, image.length)
    image.length += rest.length
  }

  /** `floor`: of the log that was captured. */
  finish(floor: Index): void {
    this.#done(floor, this.#images)
  }
}

function copy(to: Uint8Array, at: number, from: Uint8Array, start: number, end: number): void {
  if (end - start < SHORT) for (let i = start; i < end; i++) to[at++] = from[i]!
  else to.set(from.subarray(start, end), at)
}
