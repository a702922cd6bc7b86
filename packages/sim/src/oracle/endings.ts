// What ends by the log's time, watched at one machine that has seen every entry: a key ends in the first tick at or after its time and in no
// other entry, a session with everything bound to it in one entry, and those who watch are told of each once. That tick is not late: no
// operation finds what was due a tick before it, by the log's time, which stands still while nobody leads. Machines that were loaded from a
// snapshot are not watched: their state is compared with that of the others (I9).
import { MAX_SESSION_KEYS, readU53, type BytesPort, type Index, type Millis } from '@coppice/protocol'
import { CHANGE_DELETE, CHANGE_EXPIRE, CHANGE_PUT, STREAM_KEYS } from '@coppice/vkv/core'
import {
  CHANGE_SESSION_END,
  OP_COND_PUT,
  OP_END_SESSION,
  OP_KEEP_ALIVE,
  OP_OPEN_SESSION,
  OP_PUT,
  OP_TXN,
  OP_TXN_TIMED,
  ParsedOperation,
  STEP_PUT,
  STREAM_SESSIONS,
  TXN_DONE,
} from '@coppice/vkv/internal'
import { check } from '../kernel/violation.js'

/** Of its tables: what one tick ends at the most. */
const ENDS_PER_TICK = 1_000
/** Of the primary: between two ticks, ms of the log's time. */
const TICK_MS = 10

interface Ending {
  readonly expiry: Millis
  /** 0: none. */
  readonly session: Index
}

/** One change that the machine told. */
export interface Told {
  readonly stream: number
  readonly kind: number
  readonly topic: string
}

export class Endings {
  readonly #bytes: BytesPort
  readonly #op = new ParsedOperation()
  readonly #keys = new Map<string, Ending>()
  readonly #sessions = new Map<Index, { ttlMs: Millis; expiry: Millis }>()
  /** Nothing is due before. */
  #dueAt: Millis = Infinity

  constructor(bytes: BytesPort) {
    this.#bytes = bytes
  }

  /** The operation in [start, end) was applied and answered with `reply`, and the machine told these changes. */
  applied(
    index: Index,
    elapsedMs: Millis,
    b: Uint8Array,
    start: number,
    end: number,
    reply: Uint8Array,
    told: readonly Told[],
  ): void {
    const op = this.#op
    const known = op.parse(b, start, end) === undefined
    const now = Math.floor(elapsedMs)
    this.#findsNothingLate(index, now)
    // What it ends is a session, or nothing.
    const ended = known && op.kind === OP_END_SESSION ? [op.session].filter((id) => this.#sessions.has(id)) : []
    this.#ends(index, [], ended, told)
    for (const { stream, kind, topic } of told) {
      if (stream !== STREAM_KEYS) continue
      if (kind === CHANGE_DELETE) this.#keys.delete(topic)
      if (kind !== CHANGE_PUT) continue
      this.#keys.delete(topic)
      const ending = known ? this.#endingOf(topic, b, reply, now) : undefined
      if (ending === undefined) continue
      const { session } = ending
      check(session === 0 || this.#sessions.has(session), 'endings', () => {
        return `entry ${index} binds ${topic} to the session ${session}, which is not there`
      })
      this.#keys.set(topic, ending)
      this.#dueAt = Math.min(this.#dueAt, ending.expiry)
      if (session !== 0) this.#checkRoom(index, session)
    }
    if (!known) return
    if (op.kind === OP_OPEN_SESSION) {
      const expiry = now + op.ttlMs + 1
      this.#sessions.set(index, { ttlMs: op.ttlMs, expiry })
      this.#dueAt = Math.min(this.#dueAt, expiry)
    }
    if (op.kind !== OP_KEEP_ALIVE) return
    for (let i = 0; i < op.ids; i++) {
      const session = this.#sessions.get(readU53(b, op.idsAt + 8 * i))
      if (session !== undefined) session.expiry = Math.max(session.expiry, now + session.ttlMs + 1)
    }
  }

  /** When the key ends that the operation has written, by what it says; undefined: it stays. */
  #endingOf(topic: string, b: Uint8Array, reply: Uint8Array, now: Millis): Ending | undefined {
    const op = this.#op
    if (op.kind === OP_PUT || op.kind === OP_COND_PUT) return endingOf(op.ttlMs, op.session, now)
    if ((op.kind !== OP_TXN && op.kind !== OP_TXN_TIMED) || reply[0] !== TXN_DONE) return undefined
    const steps = op.txn.stepsOf(reply[9] === 1 ? 'success' : 'failure')
    while (steps.next(b)) {
      const isIt = steps.kind === STEP_PUT && this.#bytes.latin1(b, steps.keyStart, steps.keyEnd) === topic
      if (isIt) return endingOf(steps.ttlMs, steps.session, now)
    }
    return undefined
  }

  #checkRoom(index: Index, session: Index): void {
    let bound = 0
    for (const ending of this.#keys.values()) if (ending.session === session) bound++
    check(bound <= MAX_SESSION_KEYS, 'endings', () => `entry ${index} binds key ${bound} to the session ${session}`)
  }

  /** The machine was told the log's time, and told these changes. */
  ticked(index: Index, elapsedMs: Millis, told: readonly Told[]): void {
    const now = Math.floor(elapsedMs)
    const keys = [...this.#keys].filter(([, ending]) => ending.expiry <= now).map(([key]) => key)
    const sessions = [...this.#sessions].filter(([, session]) => session.expiry <= now).map(([id]) => id)
    if (keys.length + sessions.length < ENDS_PER_TICK) this.#ends(index, keys, sessions, told)
  }

  #findsNothingLate(index: Index, now: Millis): void {
    const lateAt = now - TICK_MS
    if (this.#dueAt > lateAt) return
    const all = [...this.#keys, ...this.#sessions]
    this.#dueAt = all.reduce((least, [, { expiry }]) => Math.min(least, expiry), Infinity)
    const late = all.filter(([, { expiry }]) => expiry <= lateAt)
    // One tick has a limit, and leaves the rest to the next.
    check(late.length === 0 || all.length >= ENDS_PER_TICK, 'endings', () => {
      return `entry ${index} at ${now} finds what was due: ${list(late.map(([name, { expiry }]) => `${name} at ${expiry}`))}`
    })
  }

  #ends(index: Index, keys: readonly string[], sessions: readonly Index[], told: readonly Told[]): void {
    const expected = new Set(keys)
    for (const [key, { session }] of this.#keys) if (sessions.includes(session)) expected.add(key)
    const expired = told.filter((t) => t.stream === STREAM_KEYS && t.kind === CHANGE_EXPIRE).map((t) => t.topic)
    const ended = told.filter((t) => t.stream === STREAM_SESSIONS && t.kind === CHANGE_SESSION_END)
    check(same(expired, [...expected]), 'endings', () => {
      return `entry ${index} ends the keys ${list(expired)}; those due are ${list([...expected])}`
    })
    check(
      same(
        ended.map((t) => sessionOf(t.topic)),
        [...sessions],
      ),
      'endings',
      () => {
        return `entry ${index} ends the sessions ${list(ended.map((t) => sessionOf(t.topic)))}; those due are ${list(sessions)}`
      },
    )
    for (const key of expected) this.#keys.delete(key)
    for (const id of sessions) this.#sessions.delete(id)
  }
}

function endingOf(ttlMs: Millis, session: Index, now: Millis): Ending | undefined {
  if (ttlMs === 0 && session === 0) return undefined
  return { expiry: ttlMs === 0 ? Infinity : now + ttlMs + 1, session }
}

/** Id of a session, from the topic of its changes. */
export function sessionOf(topic: string): Index {
  let id = 0
  for (let i = 0; i < topic.length; i++) id = id * 256 + topic.charCodeAt(i)
  return id
}

function same<T>(a: readonly T[], b: readonly T[]): boolean {
  const rest = new Set(b)
  return a.length === b.length && a.every((x) => rest.delete(x))
}

function list(names: readonly (string | number)[]): string {
  return names.length === 0 ? 'none' : names.join(', ')
}
