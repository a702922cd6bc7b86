// Every open call of a clerk: begins it, ends it by an answer, by its deadline or by its signal, and settles its promise exactly
// once. One listener per signal however many calls share it, removed with the last of them.
import type { AbortSignalLike, Clock } from '@coppice/protocol'
import type { Call } from './call.js'
import { Deadlines } from './deadlines.js'
import { UsualDeadlines } from './usual-deadlines.js'

interface SignalCalls {
  readonly calls: Set<Call>
  readonly listener: () => void
}

export interface OpenCallsPorts {
  readonly clock: Clock
  /** Timeout of calls that name none, ms. */
  readonly timeoutMs: number
  readonly hold: ((busy: boolean) => void) | undefined
  /** Asks for `endTurn`. */
  readonly schedule: () => void
  /** The call's deadline passed or its signal was aborted: it must be failed now. */
  readonly giveUp: (call: Call, why: 'timeout' | 'aborted') => void
}

export class OpenCalls {
  /** Calls that are open. */
  size = 0
  readonly #ports: OpenCallsPorts
  readonly #usual: UsualDeadlines
  readonly #deadlines: Deadlines
  readonly #bySignal = new Map<AbortSignalLike, SignalCalls>()
  #held = false

  constructor(ports: OpenCallsPorts) {
    this.#ports = ports
    const onDue = (call: Call): void => ports.giveUp(call, 'timeout')
    this.#usual = new UsualDeadlines(ports.clock, ports.timeoutMs, onDue)
    this.#deadlines = new Deadlines(ports.clock, onDue)
  }

  get signals(): number {
    return this.#bySignal.size
  }

  begin(call: Call, timeoutMs: number, signal: AbortSignalLike | undefined): void {
    this.size++
    if (!this.#held) this.#hold(true)
    call.timeoutMs = timeoutMs
    if (timeoutMs !== this.#ports.timeoutMs) this.#deadlines.add(call, timeoutMs)
    else {
      if (!this.#usual.undated) this.#ports.schedule()
      this.#usual.add(call)
    }
    if (signal !== undefined) this.#watch(call, signal)
  }

  succeed(call: Call, value: unknown): void {
    if (call.settled) return
    const { resolve } = call
    this.#end(call)
    resolve(value as never)
  }

  /** Succeeds with what the call makes of [start, end) of `buffer`, or fails with what it throws at it. */
  answer(call: Call, buffer: Uint8Array, start: number, end: number): void {
    if (call.settled) return
    const { resolve, reject, decode, context } = call
    // Ended first: a user's own codec may do anything, even abort this very call.
    this.#end(call)
    let value: never
    try {
      value = decode(buffer, start, end, context as never) as never
    } catch (error) {
      reject(error)
      return
    }
    resolve(value)
  }

  fail(call: Call, error: unknown): void {
    if (call.settled) return
    const { reject } = call
    this.#end(call)
    reject(error)
  }

  all(): Call[] {
    return [...this.#usual.calls(), ...this.#deadlines.calls()]
  }

  /** Deadlines of this turn's calls begin; nothing is held when none is open. */
  endTurn(): void {
    this.#usual.endTurn()
    if (this.size > 0) return
    this.#usual.rest()
    this.#deadlines.maybeRest()
    if (this.#held) this.#hold(false)
  }

  #hold(busy: boolean): void {
    this.#held = busy
    this.#ports.hold?.(busy)
  }

  #end(call: Call): void {
    call.settled = true
    call.release()
    if (call.bucket === undefined) this.#usual.remove(call)
    else this.#deadlines.remove(call)
    if (call.signal !== undefined) this.#unwatch(call, call.signal)
    // Most callers call again in this very turn: only at its end it shows whether anybody is left.
    if (--this.size === 0) this.#ports.schedule()
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
