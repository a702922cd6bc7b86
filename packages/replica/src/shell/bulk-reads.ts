// What others bring from this disk (PROTOCOL 5, R6), read one piece a turn: a window of questions comes in one frame, and reading, checking and
// copying all of it at once would hold up appends and reads for as long as that takes. Whoever asks bounds how much waits here.
import { setImmediate } from '@coppice/runtime'

type Read = () => void

export class BulkReads {
  #waiting: Read[] = []
  #scheduled = false

  /** Runs `read` in a turn that no other one has. */
  add(read: Read): void {
    this.#waiting.push(read)
    this.#schedule()
  }

  /** Nobody waits for any of it. */
  clear(): void {
    this.#waiting = []
  }

  #schedule(): void {
    if (this.#scheduled || this.#waiting.length === 0) return
    this.#scheduled = true
    setImmediate(this.#run)
  }

  readonly #run = (): void => {
    this.#scheduled = false
    const read = this.#waiting.shift()
    this.#schedule()
    read?.()
  }
}
