// What a capture puts aside because it is about to change (PROTOCOL 5): entries one behind the other in a few blocks that are used again, so
// that tens of thousands of them a second leave the garbage collector nothing to do.
import { Writer } from '@coppice/protocol'

/** A block takes entries until it is this long, and is given out whole. */
const BLOCK_BYTES = 16_384
/** A block that a large value made longer than this is not used again. */
const LONGEST_BYTES = 4 * BLOCK_BYTES

export class Asides {
  readonly #full: Writer[] = []
  readonly #empty: Writer[] = []
  #open = emptyBlock()

  /** Where the next entry is to be written, whole. */
  get out(): Writer {
    if (this.#open.length < BLOCK_BYTES) return this.#open
    this.#full.push(this.#open)
    this.#open = this.#empty.pop() ?? emptyBlock()
    return this.#open
  }

  /** Moves blocks to `out` until it is `maxBytes` long or none is left. */
  giveTo(out: Writer, maxBytes: number): void {
    while (out.length < maxBytes) {
      let block = this.#full.pop()
      if (block === undefined) {
        if (this.#open.length === 0) return
        block = this.#open
        this.#open = this.#empty.pop() ?? emptyBlock()
      }
      out.raw(block.view())
      block.reset()
      if (block.buffer.length <= LONGEST_BYTES) this.#empty.push(block)
    }
  }
}

/** With room for the entry that makes it full, when that is a small one. */
function emptyBlock(): Writer {
  return new Writer(BLOCK_BYTES + 1_024)
}
