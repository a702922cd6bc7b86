// How fast a state is captured (PROTOCOL 7): in step with the log, so that a snapshot costs little at any moment and is complete before the next
// one is due. Nobody waits for it: what it bounds is how much log a restart reads, and that grows only as fast as this goes on.
import type { Millis } from '@coppice/protocol'

/** A snapshot is complete before the log has grown by this part of what made it due. */
const PART_OF_INTERVAL = 2 / 3
/** However little the log grows, so many bytes a millisecond. */
const LEAST_BYTES_PER_MS = 1_049

export class CapturePace {
  readonly #begunAt: Millis
  /** Bytes of the state for one of the log. */
  readonly #perLogByte: number

  /** `stateBytes`: about how large the state is. `intervalBytes`: growth of the log after which it is captured again. */
  constructor(begunAt: Millis, stateBytes: number, intervalBytes: number) {
    this.#begunAt = begunAt
    this.#perLogByte = stateBytes / (PART_OF_INTERVAL * intervalBytes)
  }

  /** When the next piece is due, of a state of which `captured` bytes were taken while the log grew by `logBytes`. */
  dueAt(captured: number, logBytes: number): Millis {
    return this.#begunAt + (captured - this.#perLogByte * logBytes) / LEAST_BYTES_PER_MS
  }
}
