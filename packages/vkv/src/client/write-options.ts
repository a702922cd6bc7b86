// What a write may carry beside its value, as the store takes it, and the errors it is refused with.
import {
  CoppiceError,
  MAX_IDEMPOTENCY_KEY_BYTES,
  MAX_TTL_MS,
  type Index,
  type Millis,
  type TextPort,
} from '@coppice/protocol'
import { encodeOnce, type Once } from '../core/idempotency.js'
import type { Lifetime } from '../core/operations.js'
import { FULL_SESSION_KEYS, FULL_SESSIONS, type WriteReply } from '../core/replies.js'
import type { Tried } from './budget.js'
import { asBytes, invalid } from './codecs.js'
import { durationMs, type Duration } from './duration.js'
import type { LifetimeOptions, OnceOptions, WriteOptions } from './kv-types.js'

/** For so long the answer to a write is kept under its idempotency key. */
const DEFAULT_KEEP_MS = 24 * 3_600_000

/** Whether a put with these options is nothing but a put. */
export function isPlain(options: WriteOptions): boolean {
  const { ifVersion, ttl, session, idempotencyKey } = options
  return ifVersion === undefined && ttl === undefined && session === undefined && idempotencyKey === undefined
}

/** A ttl in whole milliseconds, rounded up: nothing ends early. Throws INVALID_ARGUMENT. */
export function ttlMsOf(ttl: Duration, what: string): Millis {
  const ms = Math.ceil(durationMs(ttl, what))
  if (ms < 1 || ms > MAX_TTL_MS) throw invalid(`${what} of ${ms} ms is not between 1 ms and ten years`)
  return ms
}

export function lifetimeOf(options: LifetimeOptions): Lifetime | undefined {
  const { ttl, session } = options
  if (ttl === undefined && session === undefined) return undefined
  const id: unknown = session instanceof Object ? session.id : session
  if (session !== undefined && !isSessionId(id)) throw invalid(`session ${String(id)} is no session's id`)
  return { ttlMs: ttl === undefined ? undefined : ttlMsOf(ttl, 'ttl'), session: isSessionId(id) ? id : undefined }
}

function isSessionId(id: unknown): id is Index {
  return Number.isSafeInteger(id) && (id as number) > 0
}

/** The operation under the idempotency key of the options, if there is one. `anyValue`: it is an update. Throws INVALID_ARGUMENT. */
export function underKey(operation: Uint8Array, options: OnceOptions, text: TextPort, anyValue = false): Uint8Array {
  const { idempotencyKey } = options
  if (idempotencyKey === undefined) return operation
  const key = typeof idempotencyKey === 'string' ? text.encode(idempotencyKey) : asBytes(idempotencyKey)
  if (key.length === 0 || key.length > MAX_IDEMPOTENCY_KEY_BYTES) {
    throw invalid(`idempotencyKey has ${key.length} bytes, not 1 to ${MAX_IDEMPOTENCY_KEY_BYTES}`)
  }
  const { idempotencyTtl } = options
  const keepMs = idempotencyTtl === undefined ? DEFAULT_KEEP_MS : ttlMsOf(idempotencyTtl, 'idempotencyTtl')
  const once: Once = { key, keepMs, anyValue }
  return encodeOnce(once, operation)
}

/** A write that was refused for what it carries. */
export function refusal(
  reply: Extract<WriteReply, { kind: 'sessionEnded' | 'reused' | 'full' }>,
  what: string,
  tried: Tried,
): CoppiceError {
  switch (reply.kind) {
    case 'sessionEnded':
      return notApplied(`${what}: session ${reply.session} has ended`, 'SESSION_ENDED', tried)
    case 'reused':
      return notApplied(`${what}: its idempotency key was used for another operation`, 'IDEMPOTENCY_CONFLICT', tried)
    case 'full':
      return full(reply.of, what, tried)
  }
}

/** There are as many of these as there may be. */
export function full(of: number, what: string, tried: Tried): CoppiceError {
  const names =
    of === FULL_SESSIONS ? 'sessions' : of === FULL_SESSION_KEYS ? 'keys of this session' : 'idempotency keys'
  return notApplied(`${what}: the store holds as many ${names} as it may`, 'LIMIT_REACHED', tried)
}

function notApplied(
  message: string,
  code: 'SESSION_ENDED' | 'IDEMPOTENCY_CONFLICT' | 'LIMIT_REACHED',
  tried: Tried,
): CoppiceError {
  return new CoppiceError(message, { code, outcome: 'not-applied', ...tried })
}
