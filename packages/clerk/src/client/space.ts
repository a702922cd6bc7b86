// The memory in which operations are written and from which they are sent: chunk after chunk, each operation behind its length, so
// that operations written one after the other form the body of a frame. A chunk lives as long as a call that lies in it.
import { EMPTY_BYTES, writeU32 } from '@coppice/protocol'
import type { Decode, Space } from './api.js'
import { type Call, type CallOwner, newCall } from './call.js'

const CHUNK_BYTES = 64 * 1024
/** What is larger gets memory of its own: it would end most chunks half empty. */
const LARGE_BYTES = 8 * 1024
const LENGTH_BYTES = 4

export class CallSpace implements Space {
  buffer: Uint8Array = EMPTY_BYTES
  /** Where the operation being written begins. */
  start = 0
  #chunk: Uint8Array = EMPTY_BYTES
  /** First free place of the chunk. */
  #free = 0

  begin(bytes: number): number {
    const need = LENGTH_BYTES + bytes
    if (bytes > LARGE_BYTES) {
      this.buffer = new Uint8Array(need)
      return (this.start = LENGTH_BYTES)
    }
    if (this.#free + need > this.#chunk.length) {
      this.#chunk = new Uint8Array(CHUNK_BYTES)
      this.#free = 0
    }
    this.buffer = this.#chunk
    return (this.start = this.#free + LENGTH_BYTES)
  }

  /** A call of the operation that was begun, which ends at `end`. */
  take<T, C>(owner: CallOwner, end: number, decode: Decode<T, C>, context: C): { promise: Promise<T>; call: Call } {
    const { buffer, start } = this
    writeU32(buffer, start - LENGTH_BYTES, end - start)
    if (buffer === this.#chunk) this.#free = end
    const made = newCall<T>(owner, buffer, start, end)
    const { call } = made
    call.framed = true
    call.decode = decode
    call.context = context
    return made
  }
}
