// Keys that end by themselves: by their ttl, or with their session, whichever comes first. A key that has neither is not here, so that a store
// without such keys pays for this with one look at a count.
//
//   key → u53 expiry (0: no ttl) · u53 session (0: none)
import { readU53, Writer, type Index, type Millis } from '@coppice/protocol'
import { AGENDA_KEY, type Agenda } from './agenda.js'
import { BOUND_KEY, endOf, type SessionTable } from './session-table.js'
import type { Table } from './table.js'

export class Lifetimes {
  readonly table: Table
  readonly #agenda: Agenda
  readonly #sessions: SessionTable
  readonly #record = new Writer(16)

  constructor(table: Table, agenda: Agenda, sessions: SessionTable) {
    this.table = table
    this.#agenda = agenda
    this.#sessions = sessions
  }

  /** Session that the key is bound to, 0: none. */
  sessionOf(key: Uint8Array, start: number, end: number): Index {
    const handle = this.table.find(key, start, end)
    return handle === 0 ? 0 : readU53(this.table.pageOf(handle), this.table.valueOffset(handle) + 8)
  }

  /** For how long the key is sure to stay unless it is written; 0: nobody knows, for a session may be revoked at any time. */
  restMs(key: Uint8Array, start: number, end: number, now: Millis): Millis {
    const handle = this.table.count === 0 ? 0 : this.table.find(key, start, end)
    if (handle === 0) return Infinity
    const page = this.table.pageOf(handle)
    const at = this.table.valueOffset(handle)
    return readU53(page, at + 8) === 0 ? Math.max(0, readU53(page, at) - now) : 0
  }

  /** The key was written at `now`: what it had before is over. `ttlMs` 0: it has no ttl; `session` 0: none, else one that is there. */
  set(index: Index, now: Millis, ttlMs: Millis, session: Index, key: Uint8Array, start: number, end: number): void {
    const { table } = this
    const handle = table.find(key, start, end)
    const before = this.#release(handle, index, session, key, start, end)
    if (ttlMs === 0 && session === 0) {
      if (handle !== 0) table.remove(handle, index)
      return
    }
    const expiry = ttlMs === 0 ? 0 : endOf(now, ttlMs)
    const w = this.#record
    w.reset()
    w.u53(expiry)
    w.u53(session)
    table.put(handle, index, key, start, end, w.buffer, 0, w.length)
    if (expiry !== 0) this.#agenda.add(index, expiry, AGENDA_KEY, key, start, end)
    if (session !== 0 && session !== before) this.#sessions.bind(index, session, BOUND_KEY, key, start, end)
  }

  /** The key is gone, or lives on without an end. */
  remove(index: Index, key: Uint8Array, start: number, end: number): void {
    const handle = this.table.find(key, start, end)
    if (handle === 0) return
    this.#release(handle, index, 0, key, start, end)
    this.table.remove(handle, index)
  }

  /** Takes the key off the agenda and from its session unless that is `kept`; answers which it was bound to. */
  #release(handle: number, index: Index, kept: Index, key: Uint8Array, start: number, end: number): Index {
    if (handle === 0) return 0
    const page = this.table.pageOf(handle)
    const at = this.table.valueOffset(handle)
    const expiry = readU53(page, at)
    const session = readU53(page, at + 8)
    if (expiry !== 0) this.#agenda.remove(index, expiry, AGENDA_KEY, key, start, end)
    if (session !== 0 && session !== kept) this.#sessions.unbind(index, session, BOUND_KEY, key, start, end)
    return session
  }
}
