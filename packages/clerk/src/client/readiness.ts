// Calls that wait until the clerk knows a configuration.
import type { Outcome } from '@coppice/protocol'
import type { Call, CallOwner } from './call.js'
import type { OpenCalls } from './open-calls.js'

export class Readiness implements CallOwner {
  readonly #calls: OpenCalls
  readonly #waiting = new Set<Call>()

  constructor(calls: OpenCalls) {
    this.#calls = calls
  }

  add(call: Call, ready: boolean): void {
    if (ready) this.#calls.succeed(call, undefined)
    else this.#waiting.add(call)
  }

  settle(): void {
    for (const call of this.#waiting) this.#calls.succeed(call, undefined)
    this.#waiting.clear()
  }

  withdraw(call: Call): Outcome {
    this.#waiting.delete(call)
    return 'not-applied'
  }

  lastWord(): string {
    return ''
  }
}
