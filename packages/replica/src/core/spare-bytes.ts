// Memory for long byte strings that somebody else reads for a while, used again afterwards: fresh memory for each piece of a snapshot made the
// garbage collector run all the time while a state was captured.

/** Kept for later, at the most. */
const MAX_SPARE = 32

export class SpareBytes {
  readonly #usualBytes: number
  #spare: ArrayBufferLike[] = []

  /** `usualBytes`: nearly all strings are no longer than this; longer ones get memory of their own. */
  constructor(usualBytes: number) {
    this.#usualBytes = usualBytes
  }

  /** A string of so many bytes, whatever they are. */
  take(length: number): Uint8Array {
    if (length > this.#usualBytes) return new Uint8Array(length)
    return new Uint8Array(this.#spare.pop() ?? new ArrayBuffer(this.#usualBytes), 0, length)
  }

  /** Nobody reads these any more. */
  giveBack(bytes: Uint8Array): void {
    if (bytes.buffer.byteLength === this.#usualBytes && this.#spare.length < MAX_SPARE) this.#spare.push(bytes.buffer)
  }
}
