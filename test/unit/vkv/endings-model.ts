// What keys with a ttl, sessions and idempotency keys should do, told as plainly as possible: maps that are searched from end to end.
import fc from 'fast-check'
import { decodeWriteReply, encodeDelete, encodeOnce, encodePut, type WriteReply } from '@coppice/vkv/core'
import { encodeEndSession, encodeKeepAlive, encodeOpenSession, END_REVOKED } from '@coppice/vkv/internal'
import { bytes } from './machine-help.js'

export type Command =
  | { kind: 'put'; key: string; value: string; ttlMs: number; session: number; once: string }
  | { kind: 'delete'; key: string; once: string }
  | { kind: 'open'; ttlMs: number }
  | { kind: 'keepAlive'; sessions: number[] }
  | { kind: 'end'; session: number }
  | { kind: 'pass'; ms: number }

const key = fc.constantFrom('a', 'b', 'c', 'dd')
const once = fc.constantFrom('', '', '', 'i1', 'i2')
/** Sessions are named by how many were opened before; 9 is one that never was. */
const session = fc.constantFrom(0, 1, 2, 9)

export const commands = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('put' as const),
      key,
      value: fc.constantFrom('x', 'y'),
      ttlMs: fc.constantFrom(0, 0, 5, 30, 200),
      session: fc.constantFrom(0, 0, 1, 2, 3, 9),
      once,
    }),
    fc.record({ kind: fc.constant('delete' as const), key, once }),
    fc.record({ kind: fc.constant('open' as const), ttlMs: fc.constantFrom(40, 100) }),
    fc.record({ kind: fc.constant('keepAlive' as const), sessions: fc.array(session, { maxLength: 3 }) }),
    fc.record({ kind: fc.constant('end' as const), session }),
    fc.record({ kind: fc.constant('pass' as const), ms: fc.constantFrom(1, 4, 20, 50) }),
  ),
  { maxLength: 80 },
)

interface Key {
  value: string
  version: number
  expiry: number
  session: number
}

/** For how long an idempotency key is remembered here. */
export const KEEP_MS = 120

export class Model {
  readonly keys = new Map<string, Key>()
  readonly sessions = new Map<number, { ttlMs: number; expiry: number }>()
  readonly once = new Map<string, { operation: string; reply: WriteReply; expiry: number }>()
  /** Ids of the sessions that were opened, in order. */
  readonly opened: number[] = []
  /** Keys that ended by themselves: with the index of the entry in which they did. */
  readonly expired: string[] = []

  idOf(number: number): number {
    return number === 0 ? 0 : (this.opened[number - 1] ?? 99_999)
  }

  get dueAt(): number {
    const ends = [...this.keys.values()].map((k) => k.expiry)
    ends.push(...[...this.sessions.values()].map((s) => s.expiry), ...[...this.once.values()].map((o) => o.expiry))
    return Math.min(Infinity, ...ends)
  }

  tick(index: number, now: number): void {
    for (const [name, k] of this.keys) if (k.expiry <= now) this.#expire(name, index)
    for (const [id, s] of this.sessions) if (s.expiry <= now) this.end(id, index)
    for (const [name, o] of this.once) if (o.expiry <= now) this.once.delete(name)
  }

  end(id: number, index: number): void {
    if (!this.sessions.delete(id)) return
    for (const [name, k] of this.keys) if (k.session === id) this.#expire(name, index)
  }

  #expire(name: string, index: number): void {
    this.keys.delete(name)
    this.expired.push(`${name}@${index}`)
  }

  write(c: Extract<Command, { key: string }>, index: number, now: number): WriteReply {
    const operation = JSON.stringify(c)
    const known = this.once.get(c.once)
    if (known !== undefined) return known.operation === operation ? known.reply : { kind: 'reused' }
    const before = this.keys.get(c.key)
    if (c.kind === 'put') {
      const id = this.idOf(c.session)
      if (id !== 0 && !this.sessions.has(id)) return { kind: 'sessionEnded', session: id }
      const expiry = c.ttlMs === 0 ? Infinity : now + c.ttlMs + 1
      this.keys.set(c.key, { value: c.value, version: index, expiry, session: id })
    } else this.keys.delete(c.key)
    const reply: WriteReply = { kind: 'ok', version: index, existed: before !== undefined }
    if (c.once !== '') this.once.set(c.once, { operation, reply, expiry: now + KEEP_MS + 1 })
    return reply
  }
}

/** The command as an operation. */
export function encode(c: Exclude<Command, { kind: 'pass' }>, model: Model): Uint8Array {
  switch (c.kind) {
    case 'put': {
      const lifetime = { ttlMs: c.ttlMs || undefined, session: model.idOf(c.session) || undefined }
      return under(c.once, encodePut(bytes(c.key), bytes(c.value), {}, lifetime))
    }
    case 'delete':
      return under(c.once, encodeDelete(bytes(c.key)))
    case 'open':
      return encodeOpenSession(c.ttlMs, bytes('me'))
    case 'keepAlive':
      return encodeKeepAlive(c.sessions.map((n) => model.idOf(n)).filter((id) => id > 0))
    case 'end':
      return encodeEndSession(model.idOf(c.session) || 99_999, END_REVOKED)
  }
}

function under(once: string, operation: Uint8Array): Uint8Array {
  return once === '' ? operation : encodeOnce({ key: bytes(once), keepMs: KEEP_MS }, operation)
}

export const replyOf = (reply: Uint8Array): WriteReply => decodeWriteReply(reply)
