// The operations of sessions as bytes (PRODUCT SDK, `db.session`).
//
//   open:        u8 kind · u53 ttlMs · u8 n · name
//   keep alive:  u8 kind · u32 n · n × u53 id          each for its ttl from now
//   end:         u8 kind · u53 id · u8 why
import {
  MAX_KEPT_ALIVE,
  MAX_SESSION_NAME_BYTES,
  MAX_TTL_MS,
  readU32,
  Writer,
  type Index,
  type Millis,
} from '@coppice/protocol'
import { END_CLOSED, END_REVOKED } from './changes.js'
import { wholeNumber } from './whole-number.js'

export const OP_OPEN_SESSION = 16
export const OP_KEEP_ALIVE = 17
export const OP_END_SESSION = 18

/** What they say, for the parser of all operations. */
export interface SessionFields {
  ttlMs: Millis
  ownerStart: number
  ownerEnd: number
  ids: number
  idsAt: number
  session: Index
  why: number
}

export function isSessionOperation(kind: number): boolean {
  return kind >= OP_OPEN_SESSION && kind <= OP_END_SESSION
}

/** The name, up to 128 bytes, tells those who list sessions whose it is. */
export function encodeOpenSession(ttlMs: Millis, name: Uint8Array): Uint8Array {
  const w = new Writer(10 + name.length)
  w.u8(OP_OPEN_SESSION)
  w.u53(ttlMs)
  w.u8(name.length)
  w.raw(name)
  return w.view()
}

/** The operation that says of sessions that their owners are there. */
export function encodeKeepAlive(ids: readonly Index[]): Uint8Array {
  const w = new Writer(5 + 8 * ids.length)
  w.u8(OP_KEEP_ALIVE)
  w.u32(ids.length)
  for (const id of ids) w.u53(id)
  return w.view()
}

/** `why`: END_CLOSED or END_REVOKED. */
export function encodeEndSession(id: Index, why: number): Uint8Array {
  const w = new Writer(10)
  w.u8(OP_END_SESSION)
  w.u53(id)
  w.u8(why)
  return w.view()
}

/** Takes one apart whose kind is known; the answer says what is wrong with it, undefined: nothing. */
export function parseSessionOperation(
  op: SessionFields,
  b: Uint8Array,
  start: number,
  end: number,
): string | undefined {
  switch (b[start]) {
    case OP_OPEN_SESSION: {
      const ttlMs = wholeNumber(b, start + 1, end)
      if (ttlMs < 1 || ttlMs > MAX_TTL_MS) return `open session: ttl of ${ttlMs} ms is not between 1 ms and ten years`
      op.ttlMs = ttlMs
      op.ownerStart = start + 10
      op.ownerEnd = end
      if (end < start + 10 || end - start - 10 !== b[start + 9]) return 'open session: name is cut off or too long'
      const nameBytes = end - start - 10
      return nameBytes <= MAX_SESSION_NAME_BYTES
        ? undefined
        : `open session: name of ${nameBytes} bytes is above the limit of ${MAX_SESSION_NAME_BYTES}`
    }
    case OP_KEEP_ALIVE: {
      if (start + 5 > end) return 'keep alive is cut off'
      op.ids = readU32(b, start + 1)
      op.idsAt = start + 5
      if (op.ids > MAX_KEPT_ALIVE) return `keep alive names ${op.ids} sessions, above the limit of ${MAX_KEPT_ALIVE}`
      if (op.idsAt + 8 * op.ids !== end) return 'keep alive has another length than its count says'
      for (let at = op.idsAt; at < end; at += 8) if (wholeNumber(b, at, end) < 1) return 'keep alive names no id'
      return undefined
    }
    default: {
      if (start + 10 !== end) return 'end session has another length than it should'
      op.session = wholeNumber(b, start + 1, end)
      op.why = b[start + 9]!
      if (op.session < 1) return 'end session names no id'
      return op.why === END_CLOSED || op.why === END_REVOKED ? undefined : `end session: unknown reason ${op.why}`
    }
  }
}
