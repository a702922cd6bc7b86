// One deadline over several calls to the clerk, and pauses between them (PRODUCT: `timeout` covers the whole call).
import { CoppiceError, type AbortSignalLike, type Epoch, type Millis } from '@coppice/protocol'
import type { CallOptions, ClerkLike } from '@coppice/clerk/core'
import { durationMs, type Duration } from './duration.js'
import type { KvPorts } from './ports.js'

/** Of every call of the SDK. */
export interface Options {
  readonly signal?: AbortSignalLike | undefined
  /** Covers the whole call, connecting and retrying included; default: the connection's (10 s). */
  readonly timeout?: Duration | undefined
}

/** What errors say of the call that they end. */
export interface Tried {
  /** Requests that it has begun. */
  readonly attempts: number
  /** Newest that is known; undefined: none. */
  readonly epoch: Epoch | undefined
}

export class Budget {
  readonly signal: AbortSignalLike | undefined
  readonly deadline: Millis
  readonly #clerk: ClerkLike
  readonly #hold: KvPorts['hold']
  /** Calls of the clerk that this one has begun. */
  #calls = 0

  constructor(clerk: ClerkLike, ports: KvPorts, options: Options = {}, extraMs = 0) {
    this.#clerk = clerk
    this.#hold = ports.hold
    this.signal = options.signal
    const timeoutMs = options.timeout === undefined ? clerk.timeoutMs : durationMs(options.timeout, 'timeout')
    this.deadline = clerk.clock.now() + timeoutMs + extraMs
  }

  /** Calls made so far. */
  get attempts(): number {
    return this.#calls
  }

  /** What an error says of this call. */
  get tried(): Tried {
    return { attempts: this.#calls, epoch: this.#clerk.configuration?.epoch }
  }

  /** Options of the next call. Throws TIMEOUT when the time is up; `what` says what was being done. */
  next(what: string): CallOptions {
    const timeoutMs = this.deadline - this.#clerk.clock.now()
    if (timeoutMs <= 0) throw this.timedOut(what)
    this.#calls++
    return { signal: this.signal, timeoutMs }
  }

  /** The same for a call of this SDK. */
  rest(what: string): Options {
    const { timeoutMs } = this.next(what)
    return { signal: this.signal, timeout: timeoutMs }
  }

  /** What others wait for too: rejects with ABORTED or TIMEOUT when this call is over, while the work goes on. */
  within<T>(work: Promise<T>, what: string): Promise<T> {
    // Whoever gives up leaves nobody to hear how the work fails.
    work.catch(() => undefined)
    return new Promise((resolve, reject) => {
      if (this.signal?.aborted === true) return reject(aborted(this.#clerk, this.signal, what, this.#calls))
      const { timeoutMs } = this.next(what)
      const end = (): void => {
        cancel()
        this.signal?.removeEventListener('abort', onAbort)
      }
      const onAbort = (): void => {
        end()
        reject(aborted(this.#clerk, this.signal, what, this.#calls))
      }
      const cancel = this.#clerk.clock.after(timeoutMs!, () => {
        end()
        reject(this.timedOut(what))
      })
      this.signal?.addEventListener('abort', onAbort, { once: true })
      work.finally(end).then(resolve, reject)
    })
  }

  /** Waits; ends early with ABORTED by the signal, or with TIMEOUT at the deadline. */
  pause(ms: number, what: string): Promise<void> {
    const left = this.deadline - this.#clerk.clock.now()
    return pause(this.#clerk, this.#hold, Math.min(ms, Math.max(left, 0)), this.signal, what, this.#calls).then(() => {
      if (ms >= left) throw this.timedOut(what)
    })
  }

  /** How the call ends when its time is up before anything of it may have been applied. */
  timedOut(what: string): CoppiceError {
    const details = { code: 'TIMEOUT', outcome: 'not-applied', retryable: true, ...this.tried } as const
    return new CoppiceError(`${what}: the time is up`, details)
  }
}

/** How a call ends whose signal was aborted. `attempts`: made so far. */
export function aborted(
  clerk: ClerkLike,
  signal: AbortSignalLike | undefined,
  what: string,
  attempts: number,
): CoppiceError {
  const epoch = clerk.configuration?.epoch
  const details = { code: 'ABORTED', outcome: 'not-applied', attempts, epoch, cause: signal?.reason } as const
  return new CoppiceError(`${what}: aborted`, details)
}

/** Waits for `ms`, or less when the signal is aborted: then it rejects with an AbortError. `attempts`: made so far, for the error. */
export function pause(
  clerk: ClerkLike,
  hold: KvPorts['hold'],
  ms: number,
  signal: AbortSignalLike | undefined,
  what: string,
  attempts = 0,
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(aborted(clerk, signal, what, attempts))
    const release = hold?.()
    const onAbort = (): void => {
      cancel()
      release?.()
      reject(aborted(clerk, signal, what, attempts))
    }
    const cancel = clerk.clock.after(ms, () => {
      signal?.removeEventListener('abort', onAbort)
      release?.()
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
