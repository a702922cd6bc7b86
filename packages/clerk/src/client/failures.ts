// The errors of calls: code, outcome and all that PRODUCT promises on each of them, in words that name what happened.
import { CoppiceError, MAX_OPERATION_BYTES } from '@coppice/protocol'
import type { AbortSignalLike, ClerkId, Epoch, ErrorCode, Outcome } from '@coppice/protocol'
import type { Call } from './call.js'

export interface FailureDetails {
  readonly outcome: Outcome
  readonly epoch: Epoch | undefined
  readonly clerkId?: ClerkId | undefined
  readonly cause?: unknown
}

/** Codes of conditions that pass: the same call may succeed later. */
const PASSING: ReadonlySet<ErrorCode> = new Set(['TIMEOUT', 'UNAVAILABLE', 'OVERLOADED', 'SESSION_EXPIRED'])

/** An error for `call`. Retryable only if the operation certainly had no effect: else a retry could be a second one. */
export function failure(call: Call, code: ErrorCode, message: string, details: FailureDetails): CoppiceError {
  return new CoppiceError(message, {
    code,
    outcome: details.outcome,
    retryable: PASSING.has(code) && details.outcome === 'not-applied',
    attempts: call.attempts,
    epoch: details.epoch,
    clerkId: details.clerkId === 0 ? undefined : details.clerkId,
    requestId: call.id === 0 ? undefined : call.id,
    cause: details.cause,
  })
}

/** Why a call cannot even begin; undefined: it can. */
export function refusalAtOnce(
  call: Call,
  closed: boolean,
  timeoutMs: number,
  signal: AbortSignalLike | undefined,
  epoch: Epoch | undefined,
): CoppiceError | undefined {
  if (closed) return refusedCall('CLOSED', 'the clerk is closed', epoch)
  if (signal !== undefined) {
    // A call whose signal cannot be heard could not be ended by it.
    if (!isSignal(signal)) return refusedCall('INVALID_ARGUMENT', 'signal is no AbortSignal', epoch)
    if (signal.aborted) return refusedCall('ABORTED', 'aborted before it began', epoch, signal.reason)
  }
  if (call.size > MAX_OPERATION_BYTES) {
    const message = `${call.size} bytes are above the limit of ${MAX_OPERATION_BYTES} for one operation`
    return refusedCall('TOO_LARGE', message, epoch)
  }
  if (timeoutMs > 0) return undefined
  return refusedCall('INVALID_ARGUMENT', `timeoutMs must be a positive number, not ${timeoutMs}`, epoch)
}

/** Whether it can be listened to, whatever its type says. */
export function isSignal(signal: unknown): signal is AbortSignalLike {
  return typeof (signal as AbortSignalLike | null)?.addEventListener === 'function'
}

/** An error for a call that was refused before it began. */
export function refusedCall(code: ErrorCode, message: string, epoch?: Epoch, cause?: unknown): CoppiceError {
  return new CoppiceError(message, { code, outcome: 'not-applied', epoch, cause })
}

/** What a call that found no answer in time tells: how often it was sent, what was refused, and what every server said last. */
export function timeoutMessage(call: Call, lastWord: string, servers: string): string {
  const { attempts, timeoutMs } = call
  const times = attempts === 0 ? 'not sent' : attempts === 1 ? 'sent once' : `sent ${attempts} times`
  const said = [lastWord, servers].filter((part) => part !== '').join('; ')
  return `no answer within ${Math.round(timeoutMs)} ms (${times}); ${said}`
}
