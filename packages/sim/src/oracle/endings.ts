// What ends by the log's time, watched at one machine that has seen every entry: a key ends in the first tick at or after its time and in no
// other entry, a session with everything bound to it in one entry, and those who watch are told of each once. That tick is not late: no
// operation finds what was due a tick before it, by the log's time, which stands still while nobody leads. Machines that were loaded from a
// snapshot are not watched: their state is compared with that of the others (I9).
import type { Index, Millis } from '@coppice/protocol'
import { CHANGE_DELETE, CHANGE_EXPIRE, CHANGE_PUT, STREAM_KEYS } from '@coppice/vkv/core'
import {
  CHANGE_SESSION_END,
  OP_COND_PUT,
  OP_END_SESSION,
  OP_KEEP_ALIVE,
  OP_OPEN_SESSION,
  OP_PUT,
  ParsedOperation,
  STREAM_SESSIONS,
} from '@coppice/vkv/internal'
import { readU53 } from '@coppice/protocol'
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
  readonly #op = new ParsedOperation()
  readonly #keys = new Map<string, Ending>()
  readonly #sessions = new Map<Index, { ttlMs: Millis; expiry: Millis }>()
  /** Nothing is due before. */
  #dueAt: Millis = Infinity

  /** An operation was applied, and the machine told these changes. */
  applied(index: Index, elapsedMs: Millis, b: Uint8Array, start: number, end: number, told: readonly Told[]): void {
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
      if (!known || (op.kind !== OP_PUT && op.kind !== OP_COND_PUT) || (op.ttlMs === 0 && op.session === 0)) continue
      const expiry = op.ttlMs === 0 ? Infinity : now + op.ttlMs + 1
      this.#keys.set(topic, { expiry, session: op.session })
      this.#dueAt = Math.min(this.#dueAt, expiry)
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
