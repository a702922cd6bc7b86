// A snapshot on its way here (PROTOCOL 5): which of its chunks were asked for and which are here. A window of bytes is under way at a time,
// in any order; only those that are missing are asked for again, each under the token it had, so that the source knows a repetition.
import { RangeCounter, TRANSFER_WINDOW_BYTES, TRANSFER_WRITING_BYTES } from '@coppice/protocol'
import type { SnapshotOrigin } from './io.js'

/** Chunks of a window, however large or small they are. */
const LEAST_CHUNKS = 4
export const MOST_CHUNKS = 32

export class IncomingSnapshot {
  /** Name under which it is stored here. */
  readonly ownId: string
  /** What its first chunk said about it. */
  readonly origin: SnapshotOrigin
  readonly #received = new RangeCounter(0)
  /** All chunks below were asked for. */
  #asked = 0
  #writing = 0
  readonly #firstToken: number
  /** Chunks asked for and not here yet, at the most (R6), and those that wait for this disk. */
  readonly #mostUnderWay: number
  readonly #mostWriting: number

  /** Its chunks are asked for under the tokens from `firstToken` on. */
  constructor(ownId: string, origin: SnapshotOrigin, firstToken: number) {
    this.ownId = ownId
    this.origin = origin
    this.#firstToken = firstToken
    const usualBytes = Math.max(1, origin.totalBytes / Math.max(1, origin.chunks))
    this.#mostUnderWay = chunksOf(TRANSFER_WINDOW_BYTES / usualBytes)
    this.#mostWriting = chunksOf(TRANSFER_WRITING_BYTES / usualBytes)
  }

  get complete(): boolean {
    return this.#received.low === this.origin.chunks
  }

  /** Exclusive end of its tokens. */
  get tokensEnd(): number {
    return this.#firstToken + this.origin.chunks
  }

  /** The token of the question for a chunk. */
  tokenOf(chunk: number): number {
    return this.#firstToken + chunk
  }

  /** These are on the disk already. */
  found(chunks: readonly number[]): void {
    for (const chunk of chunks) this.#received.add(chunk, chunk + 1)
  }

  /** Notes a chunk, which goes to the disk now; false: it is here already, or none of this snapshot. */
  take(chunk: number): boolean {
    if (chunk >= this.origin.chunks || !this.#received.add(chunk, chunk + 1)) return false
    this.#writing++
    return true
  }

  /** One is on the disk. */
  written(): void {
    this.#writing--
  }

  /** The next chunk to ask for; undefined: enough are under way. */
  next(): number | undefined {
    const { low } = this.#received
    // What came unasked, or with the first answer, is not asked for.
    while (this.#asked < this.origin.chunks && this.#received.has(this.#asked, this.#asked + 1)) this.#asked++
    const full = this.#asked - low >= this.#mostUnderWay || this.#writing > this.#mostWriting
    if (full || this.#asked >= this.origin.chunks) return undefined
    return this.#asked++
  }

  /** Chunks that were asked for and are not here. */
  missing(): number[] {
    const chunks: number[] = []
    for (const [from, to] of this.#received.holes(this.#asked))
      for (let chunk = from; chunk < to; chunk++) chunks.push(chunk)
    return chunks
  }
}

function chunksOf(window: number): number {
  return Math.min(MOST_CHUNKS, Math.max(LEAST_CHUNKS, Math.floor(window)))
}
