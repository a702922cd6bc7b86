// The reply of a transaction as clients read it; its layout is in apply-txn.ts.
import { DecodeError, Reader, type Index } from '@coppice/protocol'
import { WRITE_FULL, WRITE_REUSED, WRITE_SESSION_ENDED, type Found } from './replies.js'
import { STEP_DELETE, STEP_GET, STEP_PUT } from './step-cursor.js'

export const TXN_DONE = 0
export const TXN_FENCED = 1
export const TXN_REPLY_TOO_LARGE = 2
export const TXN_BLOCKED = 3
/** The refusals of what a write carries are those of any write. */
export const TXN_SESSION_ENDED = WRITE_SESSION_ENDED
export const TXN_REUSED = WRITE_REUSED
export const TXN_FULL = WRITE_FULL

/**
 * What one step came to.
 * @internal
 */
export type StepResult =
  | { readonly kind: 'put' | 'delete'; readonly existed: boolean }
  /** Undefined: the key is missing. */
  | { readonly kind: 'get'; readonly found: Found | undefined }
export type TxnReply =
  | { readonly kind: 'success'; readonly version: Index; readonly results: readonly StepResult[] }
  /** Comparison number `failed` is the first that did not hold. */
  | {
      readonly kind: 'failure'
      readonly version: Index
      readonly failed: number
      readonly results: readonly StepResult[]
    }
  /** Guard number `guard` does not hold: the lock has this fence now (0: nobody holds it). Nothing was written. */
  | { readonly kind: 'fenced'; readonly guard: number; readonly fence: Index }
  /** What the gets found is more than a reply that is kept may have. Nothing was written. */
  | { readonly kind: 'replyTooLarge' }
  /** Caches hold leases on keys that it would write; the last of them ends after `waitMs` at the latest. Nothing was written. */
  | { readonly kind: 'blocked'; readonly waitMs: number }
  /** A session that a key was to be bound to is not there. Nothing was written. */
  | { readonly kind: 'sessionEnded'; readonly session: Index }
  /** Its idempotency key was used for another operation. Nothing was written. */
  | { readonly kind: 'reused' }
  /** There are as many of these as there may be: FULL_SESSION_KEYS, FULL_IDEMPOTENCY_KEYS. Nothing was written. */
  | { readonly kind: 'full'; readonly of: number }

/** Throws DecodeError. */
export function decodeTxnReply(bytes: Uint8Array): TxnReply {
  const r = new Reader(bytes)
  const status = r.u8()
  if (status === TXN_FENCED) return { kind: 'fenced', guard: r.u8(), fence: r.u53() }
  if (status === TXN_REPLY_TOO_LARGE) return { kind: 'replyTooLarge' }
  if (status === TXN_BLOCKED) return { kind: 'blocked', waitMs: r.u32() }
  if (status === TXN_SESSION_ENDED) return { kind: 'sessionEnded', session: r.u53() }
  if (status === TXN_REUSED) return { kind: 'reused' }
  if (status === TXN_FULL) return { kind: 'full', of: r.u8() }
  if (status !== TXN_DONE) throw new DecodeError(`unknown txn reply ${status}`)
  const version = r.u53()
  const success = r.u8() === 1
  const failed = success ? 0 : u16(r)
  const results: StepResult[] = []
  for (let n = u16(r); n > 0; n--) results.push(readResult(r))
  r.finish()
  return success ? { kind: 'success', version, results } : { kind: 'failure', version, failed, results }
}

function readResult(r: Reader): StepResult {
  const kind = r.u8()
  const found = r.u8() === 1
  switch (kind) {
    case STEP_PUT:
      return { kind: 'put', existed: found }
    case STEP_DELETE:
      return { kind: 'delete', existed: found }
    case STEP_GET:
      return { kind: 'get', found: found ? { version: r.u53(), value: r.bytes() } : undefined }
    default:
      throw new DecodeError(`unknown result of a txn step ${kind}`)
  }
}

function u16(r: Reader): number {
  const low = r.u8()
  return low | (r.u8() << 8)
}
