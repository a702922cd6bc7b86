// The memory that pieces of a snapshot are in until the disk has them, used again for further ones: fresh memory for each made the garbage
// collector run all the time while a state was captured.
import { CHUNK_BYTES } from '@coppice/protocol'

/** Bytes captured in one go: making a piece holds up everything else, so it is less than what travels well. */
export const PIECE_BYTES = CHUNK_BYTES / 2
/** Room for a piece that one more small value made longer. */
const BUFFER_BYTES = PIECE_BYTES + 4_096

export class PieceMemory {
  readonly #free: ArrayBufferLike[] = []

  /** A copy of the piece behind its kind. */
  tagged(kind: number, piece: Uint8Array): Uint8Array {
    const length = 1 + piece.length
    const memory =
      length <= BUFFER_BYTES ? (this.#free.pop() ?? new ArrayBuffer(BUFFER_BYTES)) : new ArrayBuffer(length)
    const chunk = new Uint8Array(memory, 0, length)
    chunk[0] = kind
    chunk.set(piece, 1)
    return chunk
  }

  /** Nobody reads the chunk any more. */
  giveBack(chunk: Uint8Array): void {
    if (chunk.buffer.byteLength === BUFFER_BYTES) this.#free.push(chunk.buffer)
  }
}
