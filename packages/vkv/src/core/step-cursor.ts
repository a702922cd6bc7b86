// The walk over the steps of one branch of a transaction whose bytes were found right: the one place that knows how long a step is.
import { readU32, readU53, type Index, type Millis } from '@coppice/protocol'
import { readU16 } from './operation-parts.js'

export const STEP_PUT = 1
export const STEP_DELETE = 2
export const STEP_GET = 3
/** A put whose key has a ttl, a session, or both. */
export const STEP_PUT_LASTING = 4

/** Bytes of the ttl and the session. */
export const LIFETIME_BYTES = 16

/** Stands at one step: places in its buffer, no copies. An instance is reused, so that walking allocates nothing. */
export class StepCursor {
  /** STEP_PUT, STEP_DELETE or STEP_GET: a put is a put whatever its key has. */
  kind = 0
  keyStart = 0
  keyEnd = 0
  /** Of a put; else what they were. */
  valueStart = 0
  valueEnd = 0
  /** Of a put; 0: none. */
  ttlMs: Millis = 0
  session: Index = 0
  #at = 0
  #left = 0

  /** Stands before the first of so many steps that begin at `at`. */
  begin(at: number, steps: number): this {
    this.#at = at
    this.#left = steps
    return this
  }

  /** Goes to the next step; false: there is none. */
  next(b: Uint8Array): boolean {
    if (this.#left === 0) return false
    this.#left--
    const start = this.#at
    const kind = b[start]!
    let at = start + 3 + readU16(b, start + 1)
    this.keyStart = start + 3
    this.keyEnd = at
    this.ttlMs = 0
    this.session = 0
    if (kind === STEP_DELETE || kind === STEP_GET) {
      this.kind = kind
      this.#at = at
      return true
    }
    if (kind === STEP_PUT_LASTING) {
      this.ttlMs = readU53(b, at)
      this.session = readU53(b, at + 8)
      at += LIFETIME_BYTES
    }
    this.kind = STEP_PUT
    this.valueStart = at + 4
    this.valueEnd = at + 4 + readU32(b, at)
    this.#at = this.valueEnd
    return true
  }
}
