// A config server whose process is about to end (SIGTERM): one that leads lets another stand at once, so that nobody has to miss it first
// (PROTOCOL P5). Its host waits for that within a bound of its own.
import type { Millis } from '@coppice/protocol'
import { LEAVE_ATTEMPT_MS } from './bounds.js'
import type { Leadership } from './leadership.js'

export class Leaving {
  #since: Millis | undefined
  #askedAt: Millis = -Infinity
  #ended = false

  /** It does not stand any more. */
  get begun(): boolean {
    return this.#since !== undefined
  }

  begin(now: Millis): void {
    this.#since ??= now
  }

  /** After each step: asks another server to stand, again with every heartbeat; answers once why it may end. */
  settle(now: Millis, leadership: Leadership | undefined, writing: boolean, heartbeatMs: Millis): string | undefined {
    if (this.#since === undefined || this.#ended) return undefined
    if (leadership !== undefined) {
      const waited = now - this.#since
      // The next leader would go on with it, but later than this one ends it.
      if (leadership.attempt !== undefined && waited < LEAVE_ATTEMPT_MS) return undefined
      if (now - this.#askedAt < heartbeatMs) return undefined
      this.#askedAt = now
      if (leadership.handOver() || (!leadership.alone && waited < LEAVE_ATTEMPT_MS)) return undefined
      return this.#end('no other config server could lead at once')
    }
    // The promise to the next leader may be one of those that it needs.
    return writing ? undefined : this.#end('it does not lead')
  }

  #end(reason: string): string {
    this.#ended = true
    return reason
  }
}
