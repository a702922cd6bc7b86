// Every open call of a clerk: begins it, ends it by an answer, by its deadline or by its signal, and settles its promise exactly
// once. One listener per signal however many calls share it, removed with the last of them.
import type { AbortSignalLike, Clock, CoppiceError } from '@coppice/protocol'
import type { Call } from './call.js'
import { Deadlines } from './deadlines.js'

interface SignalCalls {
  readonly calls: Set<Call>
  readonly listener: () => void
}

export interface OpenCallsPorts {
  readonly clock: Clock
  readonly hold: ((busy: boolean) => void) | undefined
  /** The call's deadline passed or its signal was aborted: it must be failed now. */
  readonly giveUp: (call: Call, why: 'timeout' | 'aborted') => void
}

export class OpenCalls {
  readonly #ports: OpenCallsPorts
  readonly #deadlines: Deadlines
  readonly #bySignal = new Map<AbortSignalLike, SignalCalls>()

  constructor(ports: OpenCallsPorts) {
    this.#ports = ports
    this.#deadlines = new Deadlines(ports.clock, (call) => ports.giveUp(call, 'timeout'))
  }

  get size(): number {
    return this.#deadlines.size
  }
  get signals(): number {
    return this.#bySignal.size
  }

  begin(call: Call, timeoutMs: number, signal: AbortSignalLike | undefined): void {
    if (this.#deadlines.size === 0) this.#ports.hold?.(true)
    call.timeoutMs = timeoutMs
    this.#deadlines.add(call, timeoutMs)
    if (signal !== undefined) this.#watch(call, signal)
  }

  succeed(call: Call, value: unknown): void {
    if (call.settled) return
    const { resolve } = call
    this.#end(call)
    resolve(value as never)
  }

  fail(call: Call, error: CoppiceError): void {
    if (call.settled) return
    const { reject } = call
    this.#end(call)
    reject(error)
  }

  all(): Call[] {
    return this.#deadlines.calls()
  }

  #end(call: Call): void {
    call.settled = true
    call.release()
    this.#deadlines.remove(call)
    if (call.signal !== undefined) this.#unwatch(call, call.signal)
    if (this.#deadlines.size > 0) return
    this.#deadlines.maybeRest()
    this.#ports.hold?.(false)
  }

  #watch(call: Call, signal: AbortSignalLike): void {
    call.signal = signal
    let watched = this.#bySignal.get(signal)
    if (watched === undefined) {
      const calls = new Set<Call>()
      const listener = (): void => {
        for (const each of [...calls]) this.#ports.giveUp(each, 'aborted')
      }
      watched = { calls, listener }
      this.#bySignal.set(signal, watched)
      signal.addEventListener('abort', listener, { once: true })
    }
    watched.calls.add(call)
  }

  #unwatch(call: Call, signal: AbortSignalLike): void {
    const watched = this.#bySignal.get(signal)
    if (watched === undefined) return
    watched.calls.delete(call)
    if (watched.calls.size > 0) return
    this.#bySignal.delete(signal)
    signal.removeEventListener('abort', watched.listener)
  }
}
