// The window of one session (PROTOCOL 6): requests that were given an id and whose fate is not known yet, by id, in a ring of W
// places. An abandoned request keeps its place until a Skip's reply tells its fate.
import { CLERK_WINDOW, RangeCounter, assert } from '@coppice/protocol'
import type { RequestId } from '@coppice/protocol'
import type { Call } from './call.js'

export class RequestWindow {
  /** The id the next request will get. */
  nextId: RequestId = 1
  /** Requests with an id whose users still wait, and the bytes of their operations. */
  live = 0
  liveBytes = 0
  /** Incomplete requests, abandoned ones included. */
  size = 0
  readonly #complete = new RangeCounter(1, CLERK_WINDOW)
  readonly #ring: (Call | undefined)[] = Array.from({ length: CLERK_WINDOW }, () => undefined)

  /** All ids below are complete. */
  get firstIncomplete(): RequestId {
    return this.#complete.low
  }

  /** Whether one more id may be given out. */
  get open(): boolean {
    return this.nextId < this.firstIncomplete + CLERK_WINDOW
  }

  /** The incomplete request with this id. */
  get(id: RequestId): Call | undefined {
    if (id < this.firstIncomplete || id >= this.nextId) return undefined
    return this.#ring[id % CLERK_WINDOW]
  }

  /** Gives the next id. */
  add(call: Call): void {
    assert(this.open && call.id === 0, 'a request gets one id, inside the window')
    call.id = this.nextId++
    this.#ring[call.id % CLERK_WINDOW] = call
    this.size++
    this.live++
    this.liveBytes += call.size
  }

  /** Its user waits no longer; to be called before the bytes are dropped. */
  abandon(call: Call): void {
    this.live--
    this.liveBytes -= call.size
  }

  /** Its fate is known. `settled`: it was abandoned before. */
  complete(call: Call): void {
    assert(this.get(call.id) === call, 'a request completes once')
    if (!call.settled) this.abandon(call)
    this.#ring[call.id % CLERK_WINDOW] = undefined
    this.size--
    this.#complete.add(call.id, call.id + 1)
  }

  /** Empties the window for a new session and returns what was incomplete, in order. */
  reset(): Call[] {
    const calls: Call[] = []
    for (let id = this.firstIncomplete; id < this.nextId; id++) {
      const call = this.#ring[id % CLERK_WINDOW]
      if (call === undefined) continue
      calls.push(call)
      this.#ring[id % CLERK_WINDOW] = undefined
    }
    this.#complete.reset(1)
    this.nextId = 1
    this.live = 0
    this.liveBytes = 0
    this.size = 0
    return calls
  }
}
