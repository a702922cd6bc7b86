// What keys with a ttl, sessions and idempotency keys should do, told as plainly as possible: maps that are searched from end to end.
import fc from 'fast-check'
import { decodeWriteReply, encodeDelete, encodeOnce, encodePut, type WriteReply } from '@coppice/vkv/core'
import {
  decodeTxnReply,
  encodeEndSession,
  encodeKeepAlive,
  encodeOpenSession,
  encodeTxn,
  END_REVOKED,
  EXISTS,
  MISSING,
  STEP_DELETE,
  STEP_GET,
  STEP_PUT,
  STEP_PUT_LASTING,
  type Step,
  type TxnReply,
} from '@coppice/vkv/internal'
import { bytes, text } from './machine-help.js'

export type Command =
  | { kind: 'put'; key: string; value: string; ttlMs: number; session: number; once: string }
  | { kind: 'delete'; key: string; once: string }
  | { kind: 'txn'; key: string; exists: boolean; success: Part[]; failure: Part[]; once: string }
  | { kind: 'open'; ttlMs: number }
  | { kind: 'keepAlive'; sessions: number[] }
  | { kind: 'end'; session: number }
  | { kind: 'pass'; ms: number }

/** A step of a transaction. */
type Part =
  { do: 'put'; key: string; value: string; ttlMs: number; session: number } | { do: 'delete' | 'get'; key: string }

const KEYS = ['a', 'b', 'c', 'dd']
const key = fc.constantFrom(...KEYS)
const once = fc.constantFrom('', '', '', 'i1', 'i2')
/** Sessions are named by how many were opened before; 9 is one that never was. */
const session = fc.constantFrom(0, 1, 2, 9)

const value = fc.constantFrom('x', 'y')
const ttlMs = fc.constantFrom(0, 0, 5, 30, 200)
const owner = fc.constantFrom(0, 0, 1, 2, 3, 9)
const parts = fc
  .subarray(KEYS, { maxLength: 3 })
  .chain((keys) =>
    fc.tuple(
      ...keys.map((k) =>
        fc.oneof(
          fc.record({ do: fc.constant('put' as const), key: fc.constant(k), value, ttlMs, session: owner }),
          fc.record({ do: fc.constantFrom('delete' as const, 'get' as const), key: fc.constant(k) }),
        ),
      ),
    ),
  )

const any = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('put' as const),
      key,
      value,
      ttlMs,
      session: owner,
      once,
    }),
    fc.record({
      kind: fc.constant('txn' as const),
      key,
      exists: fc.boolean(),
      success: parts,
      failure: parts,
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
/** Most begin with sessions, so that what they bind is seen to end. */
export const commands: fc.Arbitrary<Command[]> = fc
  .tuple(fc.constantFrom(0, 1, 2), any)
  .map(([sessions, list]) => [
    ...[100, 40].slice(0, sessions).map((ms) => ({ kind: 'open' as const, ttlMs: ms })),
    ...list,
  ])

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
  readonly once = new Map<string, { operation: string; reply: WriteReply | TxnReply; expiry: number }>()
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

  /** What the same operation was answered with under its idempotency key, or that another has it. */
  #known(c: Write): Answer | undefined {
    const known = this.once.get(c.once)
    if (known === undefined) return undefined
    return known.operation === nameOf(c, this) ? known.reply : { kind: 'reused' }
  }

  #remember(c: Write, reply: Answer, now: number): void {
    if (c.once !== '') this.once.set(c.once, { operation: nameOf(c, this), reply, expiry: now + KEEP_MS + 1 })
  }

  #put(part: Extract<Part, { do: 'put' }>, index: number, now: number): void {
    const expiry = part.ttlMs === 0 ? Infinity : now + part.ttlMs + 1
    this.keys.set(part.key, { value: part.value, version: index, expiry, session: this.idOf(part.session) })
  }

  /** The session that the put names and that is not there; 0: all is well. */
  #endedOf(part: { session: number }): number {
    const id = this.idOf(part.session)
    return id === 0 || this.sessions.has(id) ? 0 : id
  }

  write(c: Write, index: number, now: number): Answer {
    const known = this.#known(c)
    if (known !== undefined) return known
    if (c.kind === 'txn') return this.#transact(c, index, now)
    const before = this.keys.get(c.key)
    if (c.kind === 'put') {
      const session = this.#endedOf(c)
      if (session !== 0) return { kind: 'sessionEnded', session }
      this.#put({ ...c, do: 'put' }, index, now)
    } else this.keys.delete(c.key)
    const reply: WriteReply = { kind: 'ok', version: index, existed: before !== undefined }
    this.#remember(c, reply, now)
    return reply
  }

  #transact(c: Extract<Command, { kind: 'txn' }>, index: number, now: number): Answer {
    const holds = this.keys.has(c.key) === c.exists
    const branch = holds ? c.success : c.failure
    for (const part of branch) {
      const session = part.do === 'put' ? this.#endedOf(part) : 0
      if (session !== 0) return { kind: 'sessionEnded', session }
    }
    const results = branch.map((part) => {
      const before = this.keys.get(part.key)
      if (part.do !== 'get') return { kind: part.do, existed: before !== undefined }
      return { kind: 'get' as const, found: before && { version: before.version, value: bytes(before.value) } }
    })
    for (const part of branch) {
      if (part.do === 'put') this.#put(part, index, now)
      else if (part.do === 'delete') this.keys.delete(part.key)
    }
    const reply: TxnReply = holds
      ? { kind: 'success', version: index, results }
      : { kind: 'failure', version: index, failed: 0, results }
    if (branch.some((part) => part.do !== 'get')) this.#remember(c, reply, now)
    return reply
  }
}

type Write = Extract<Command, { once: string }>
/** What a write or a transaction is answered with. */
type Answer = WriteReply | TxnReply

/** Two operations are the same when all their bytes are. */
function nameOf(c: Write, model: Model): string {
  return Buffer.from(encode({ ...c, once: '' }, model)).toString('latin1')
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
    case 'txn': {
      const comparisons = [{ key: bytes(c.key), relation: c.exists ? EXISTS : MISSING }] as const
      const steps = (list: Part[]): Step[] => list.map((part) => stepOf(part, model))
      const txn = { guards: [], comparisons, success: steps(c.success), failure: steps(c.failure) }
      return under(c.once, encodeTxn(txn))
    }
    case 'open':
      return encodeOpenSession(c.ttlMs, bytes('me'))
    case 'keepAlive':
      return encodeKeepAlive(c.sessions.map((n) => model.idOf(n)).filter((id) => id > 0))
    case 'end':
      return encodeEndSession(model.idOf(c.session) || 99_999, END_REVOKED)
  }
}

function stepOf(part: Part, model: Model): Step {
  const name = bytes(part.key)
  if (part.do !== 'put') return { kind: part.do === 'get' ? STEP_GET : STEP_DELETE, key: name }
  const [value, session] = [bytes(part.value), model.idOf(part.session)]
  if (part.ttlMs === 0 && session === 0) return { kind: STEP_PUT, key: name, value }
  return { kind: STEP_PUT_LASTING, key: name, value, ttlMs: part.ttlMs, session }
}

function under(once: string, operation: Uint8Array): Uint8Array {
  return once === '' ? operation : encodeOnce({ key: bytes(once), keepMs: KEEP_MS }, operation)
}

/** The reply to a command, its values copied. */
export function replyOf(c: Write, reply: Uint8Array): Answer {
  if (c.kind !== 'txn') return decodeWriteReply(reply)
  const decoded = decodeTxnReply(reply)
  if (!('results' in decoded)) return decoded
  const results = decoded.results.map((result) => {
    if (result.kind !== 'get' || result.found === undefined) return result
    return { kind: 'get' as const, found: { ...result.found, value: bytes(text(result.found.value)!) } }
  })
  return { ...decoded, results }
}
