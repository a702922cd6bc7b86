// Large requests that wait for their turn at the primary (PROTOCOL 5 R6): everything admitted behind a large record waits for its
// commit too, so only about one at a time enters the log; the others stay here, whole and without an index, in the order they came.
import { MAX_RECORD_BYTES, MAX_UNCOMMITTED_BYTES, MAX_VALUE_BYTES } from '@coppice/protocol'
import type { ClerkId, ConnectionId, RequestsMessage } from '@coppice/protocol'

/** Uncommitted bytes above which a large request waits: one of the largest values, or some of 1 MiB. */
const LARGE_WINDOW_BYTES = MAX_VALUE_BYTES + 4 * MAX_RECORD_BYTES

export interface HeldFrame {
  readonly connection: ConnectionId
  readonly message: RequestsMessage
}

export class HeldFrames {
  #frames: HeldFrame[] = []
  #bytes = 0

  get size(): number {
    return this.#frames.length
  }

  /** Whether a large request fits beside what is uncommitted; one larger than the window goes when little else is under way. */
  fits(bytes: number, uncommittedBytes: number): boolean {
    return uncommittedBytes + Math.min(bytes, MAX_VALUE_BYTES) <= LARGE_WINDOW_BYTES
  }

  /** Takes a frame that must wait: a large one that does not fit, or that others wait before. False: it need not or cannot wait here. */
  hold(connection: ConnectionId, message: RequestsMessage, uncommittedBytes: number): boolean {
    const bytes = sizeOf(message)
    if (bytes <= MAX_RECORD_BYTES || (this.#frames.length === 0 && this.fits(bytes, uncommittedBytes))) return false
    // Sent again by a clerk that became impatient: the newest connection gets the answer.
    const same = this.#frames.findIndex(
      (f) => f.message.clerkId === message.clerkId && f.message.firstRequestId === message.firstRequestId,
    )
    if (same >= 0) {
      this.#bytes += bytes - sizeOf(this.#frames[same]!.message)
      this.#frames[same] = { connection, message }
      return true
    }
    // R4: memory is bounded; what is above is refused as overloaded.
    if (this.#bytes + bytes > MAX_UNCOMMITTED_BYTES) return false
    this.#frames.push({ connection, message })
    this.#bytes += bytes
    return true
  }

  /** The next frame, if it fits or `any` may go. */
  next(uncommittedBytes: number, any: boolean): HeldFrame | undefined {
    const first = this.#frames[0]
    if (first === undefined || !(any || this.fits(sizeOf(first.message), uncommittedBytes))) return undefined
    this.#frames.shift()
    this.#bytes -= sizeOf(first.message)
    return first
  }

  /** Takes out all of a session: what it sent later must not be considered before them. */
  takeOf(clerkId: ClerkId): HeldFrame[] {
    return this.#take((frame) => frame.message.clerkId === clerkId)
  }

  clientGone(connection: ConnectionId): void {
    this.#take((frame) => frame.connection === connection)
  }

  #take(matches: (frame: HeldFrame) => boolean): HeldFrame[] {
    if (!this.#frames.some(matches)) return []
    const taken = this.#frames.filter(matches)
    this.#frames = this.#frames.filter((frame) => !matches(frame))
    for (const { message } of taken) this.#bytes -= sizeOf(message)
    return taken
  }
}

function sizeOf(message: RequestsMessage): number {
  return message.ops.end - message.ops.start
}
