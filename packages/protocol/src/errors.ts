// Typed errors of the SDK (PRODUCT: every error carries code, outcome, retryable, attempts, epoch, requestId, cause).
import type { ClerkId, Epoch, Index, RequestId } from './ids.js'

/** What became of the operation: it did not and will not happen, it happened, or nobody here can tell. */
export type Outcome = 'not-applied' | 'applied' | 'unknown'

/** What went wrong. */
export type ErrorCode =
  | 'TIMEOUT' // the call's deadline passed
  | 'ABORTED' // its signal was aborted (name is AbortError)
  | 'UNAVAILABLE' // no server could be reached, or no quorum
  | 'SESSION_EXPIRED' // the clerk was removed by the cluster; open a new one
  | 'OVERLOADED' // refused for load; retryable
  | 'TOO_LARGE' // key, value or operation above its limit
  | 'INVALID_ARGUMENT' // refused before it was sent, or by validation
  | 'INVALID_VALUE' // a value is not what its codec or schema asks for
  | 'WRONG_CLUSTER' // the server belongs to another cluster or group
  | 'PROTOCOL_VERSION' // the server speaks another version
  | 'CLOSED' // the client was closed
  | 'FENCED' // a lock's fence is stale
  | 'LOCK_LOST' // the lock expired or was released
  | 'LOCK_BUSY' // not acquired within `wait`
  | 'SESSION_ENDED' // a session of the store expired, was closed or revoked; what was bound to it is gone
  | 'IDEMPOTENCY_CONFLICT' // this idempotency key belongs to another operation
  | 'LIMIT_REACHED' // the store holds as many of these as it may
  | 'COMPACTED' // what a watch wants to begin with is kept no more; see CompactedError
  | 'CONFLICT' // an admin request contradicts the state of the cluster
  | 'NOT_FOUND'
  | 'INTERNAL'

/** What a CoppiceError is made of; what is left out is not retryable, was never sent, and has no epoch, ids or cause. */
export interface ErrorDetails {
  readonly code: ErrorCode
  readonly outcome: Outcome
  readonly retryable?: boolean
  readonly attempts?: number
  readonly epoch?: Epoch | undefined
  readonly clerkId?: ClerkId | undefined
  readonly requestId?: RequestId | undefined
  readonly cause?: unknown
}

/** Every failure of the SDK. Expected outcomes (a failed comparison, a missing key) are values, never this. */
export class CoppiceError extends Error {
  readonly code: ErrorCode
  readonly outcome: Outcome
  readonly retryable: boolean
  readonly attempts: number
  readonly epoch: Epoch | undefined
  readonly clerkId: ClerkId | undefined
  readonly requestId: RequestId | undefined

  constructor(message: string, details: ErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = details.code === 'ABORTED' ? 'AbortError' : 'CoppiceError'
    this.code = details.code
    this.outcome = details.outcome
    this.retryable = details.retryable ?? false
    this.attempts = details.attempts ?? 0
    this.epoch = details.epoch
    this.clerkId = details.clerkId
    this.requestId = details.requestId
  }
}

/**
 * A watch has a gap: changes it wanted were dropped before it could be told of them. Read the state again and watch from its index; from
 * `floor` on everything is there.
 */
export class CompactedError extends CoppiceError {
  /** The first index from which on all changes are kept. */
  readonly floor: Index

  constructor(from: Index, floor: Index) {
    const message = `changes from index ${from} on are wanted, but only those from ${floor} on are kept`
    super(message, { code: 'COMPACTED', outcome: 'not-applied' })
    this.name = 'CompactedError'
    this.floor = floor
  }
}
