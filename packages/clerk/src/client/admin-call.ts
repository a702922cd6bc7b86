// One call of an operator's client, of as many questions as it takes: its time, its signal, what was sent, and how it fails.
import { CoppiceError } from '@coppice/protocol'
import type {
  AbortSignalLike,
  ClientLink,
  ClientToConfig,
  ClientToReplica,
  Clock,
  ConfigToClient,
  Dialer,
  Epoch,
  ErrorCode,
  Millis,
  Outcome,
  ReplicaToClient,
} from '@coppice/protocol'
import { durationMs, type Duration } from './duration.js'
import { isSignal, refusedCall } from './failures.js'
import { lastingRefusal } from './refusal.js'

/** Of any one call of an operator's client. */
export interface AdminCallOptions {
  /** Aborting it ends the call at once with an AbortError; a change that was sent may still happen. */
  readonly signal?: AbortSignalLike | undefined
  /** Covers the whole call, all its questions included. A number is milliseconds; default: the client's. */
  readonly timeout?: Duration | undefined
}

/** What a call needs of its client. */
export interface AdminCallHost {
  readonly clock: Clock
  /** Timeout of calls that name none, ms. */
  readonly timeoutMs: number
  readonly closed: () => boolean
  /** Newest epoch that the client was told of. */
  readonly epoch: () => Epoch | undefined
}

/** Why a server gave no answer. */
export interface Silence {
  readonly said: string
  /** It will not answer this client, ever. */
  readonly refused: ErrorCode | undefined
  /** It was reached, and owed the answer when the time was up. */
  readonly owed: boolean
}

type AnswerOf<A> = Extract<A, { requestId: number }>

export class AdminCall {
  readonly #host: AdminCallHost
  readonly #signal: AbortSignalLike | undefined
  readonly #outcomeOnceSent: Outcome
  readonly #deadline: Millis
  /** Questions that went out on an open link. */
  #attempts = 0
  /** The deadline's timer has run, which may be early by the clock. */
  #late = false
  /** Ends what this call waits for. */
  #wake: () => void = () => undefined
  readonly #onAbort = (): void => this.#wake()

  /**
   * `outcomeOnceSent`: of a failure after something was sent. Throws INVALID_ARGUMENT, and CLOSED, ABORTED or TIMEOUT when it is over before it began.
   */
  constructor(host: AdminCallHost, outcomeOnceSent: Outcome, options: AdminCallOptions) {
    const epoch = host.epoch()
    if (typeof options !== 'object' || Array.isArray(options))
      throw refusedCall('INVALID_ARGUMENT', 'options are an object with a signal or a timeout', epoch)
    const { signal, timeout, ...others } = options
    const [unknown] = Object.keys(others)
    if (unknown !== undefined)
      throw refusedCall('INVALID_ARGUMENT', `there is no option "${unknown}"; there are signal, timeout`, epoch)
    if (host.closed()) throw refusedCall('CLOSED', 'the client is closed', epoch)
    // A call whose signal cannot be heard could not be ended by it.
    if (signal !== undefined && !isSignal(signal))
      throw refusedCall('INVALID_ARGUMENT', 'signal is no AbortSignal', epoch)
    if (signal?.aborted === true) throw refusedCall('ABORTED', 'aborted before it began', epoch, signal.reason)
    this.#host = host
    this.#signal = signal
    this.#outcomeOnceSent = outcomeOnceSent
    this.#deadline = host.clock.now() + timeoutMsOf(timeout, host)
    signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** Until its deadline, ms; may be negative. */
  get leftMs(): Millis {
    return this.#deadline - this.#host.clock.now()
  }

  /** Nobody waits for it any more. */
  get abandoned(): boolean {
    return this.#host.closed() || this.#signal?.aborted === true
  }

  /** That, or its time is up. */
  get over(): boolean {
    return this.abandoned || this.#late || this.leftMs <= 0
  }

  /** Nothing of it stays: no listener, and whatever it waits for ends. */
  end(): void {
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#wake()
  }

  /** One question on a link of its own: operators ask rarely, and a fresh link tells at once whether the server is there. */
  ask<Q extends ClientToConfig | ClientToReplica, A extends ConfigToClient | ReplicaToClient>(
    dialer: Dialer<Q, A>,
    address: string,
    question: Q & { readonly requestId: number },
    patienceMs: number,
  ): Promise<AnswerOf<A> | Silence> {
    return new Promise((resolve) => {
      const link: ClientLink<Q, A> = dialer.dial(address)
      const settle = (answer: AnswerOf<A> | Silence): void => {
        this.#wake = () => undefined
        cancel()
        resolve(answer)
        link.close()
      }
      const giveUp = (): void =>
        settle({ said: link.open ? 'connected, no answer' : 'no answer', refused: undefined, owed: link.open })
      const cancel = this.#after(patienceMs, giveUp)
      this.#wake = giveUp
      link.onOpen = () => {
        this.#attempts++
      }
      link.onMessage = (message) => {
        if ('requestId' in message && message.requestId === question.requestId) settle(message as AnswerOf<A>)
      }
      link.onClose = (reason, refusal) => settle({ said: reason, refused: lastingRefusal(refusal), owed: false })
      link.send(question)
    })
  }

  /** Waits so long, or until the call is over. */
  pause(ms: number): Promise<void> {
    if (this.over) return Promise.resolve()
    return new Promise((resolve) => {
      const settle = (): void => {
        this.#wake = () => undefined
        cancel()
        resolve()
      }
      const cancel = this.#after(ms, settle)
      this.#wake = settle
    })
  }

  /** Runs `then` after so long, or at the deadline. */
  #after(ms: Millis, then: () => void): () => void {
    const { leftMs } = this
    return this.#host.clock.after(Math.max(0, Math.min(ms, leftMs)), () => {
      this.#late = ms >= leftMs
      then()
    })
  }

  /** How it ends without an answer. `words`: what the servers said last; `silences`: why each of them gave no answer. */
  failure(words: string, silences: readonly Silence[]): CoppiceError {
    if (this.#signal?.aborted === true)
      return this.#error('ABORTED', 'the call was aborted', false, this.#signal.reason)
    if (this.#host.closed()) return this.#error('CLOSED', 'the client was closed', false)
    const refused = silences.find((silence) => silence.refused !== undefined)?.refused
    const code = refused ?? (silences.some(({ owed }) => owed) ? 'TIMEOUT' : 'UNAVAILABLE')
    return this.#error(code, `no answer: ${words}`, refused === undefined)
  }

  // Retryable only if it certainly had no effect, as the errors of any call. A change can always be asked for again under its adminId.
  #error(code: ErrorCode, message: string, passing: boolean, cause?: unknown): CoppiceError {
    const outcome = this.#attempts === 0 ? 'not-applied' : this.#outcomeOnceSent
    const retryable = passing && outcome === 'not-applied'
    const details = { code, outcome, retryable, attempts: this.#attempts, epoch: this.#host.epoch(), cause }
    return new CoppiceError(message, details)
  }
}

function timeoutMsOf(timeout: Duration | undefined, host: AdminCallHost): Millis {
  if (timeout === undefined) return host.timeoutMs
  const epoch = host.epoch()
  if (timeout === 0) {
    const details = { code: 'TIMEOUT', outcome: 'not-applied', retryable: true, epoch } as const
    throw new CoppiceError('the time is up', details)
  }
  const ms = durationMs(timeout)
  if (ms !== undefined) return ms
  const words = `timeout: ${JSON.stringify(timeout)} is no duration (use milliseconds, or '10s', '5m')`
  throw refusedCall('INVALID_ARGUMENT', words, epoch)
}
