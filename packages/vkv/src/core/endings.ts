// The end of what ends by itself or by somebody's word (PROTOCOL 6): a key by its ttl, a session with all that is bound to it, an idempotency
// key, the holding of a lock. Each ends once, in one entry of the log, at every replica alike, and those who watch are told.
import { EMPTY_BYTES, type Index, type Millis } from '@coppice/protocol'
import type { ChangeSink } from '@coppice/replica'
import {
  AGENDA_HOLDER,
  AGENDA_KEY,
  AGENDA_LOCK,
  AGENDA_MARK,
  AGENDA_ONCE,
  AGENDA_PLACES,
  AGENDA_SESSION,
  ID_BYTES,
  readOrdered,
  writeOrdered,
  type Agenda,
} from './agenda.js'
import type { CacheLeases } from './cache-leases.js'
import { CHANGE_EXPIRE, CHANGE_SESSION_END, END_EXPIRED, STREAM_KEYS, STREAM_SESSIONS } from './changes.js'
import type { IdempotencyTable } from './idempotency-table.js'
import type { Lifetimes } from './lifetimes.js'
import type { LockTable } from './lock-table.js'
import { BOUND_KEY, type SessionTable } from './session-table.js'
import type { Table } from './table.js'

/** What one tick ends at the most, before a last session ends with all that is bound to it. */
export const ENDS_PER_TICK = 1_000

export interface Endable {
  readonly keys: Table
  readonly agenda: Agenda
  readonly sessions: SessionTable
  readonly lifetimes: Lifetimes
  readonly once: IdempotencyTable
  readonly caches: CacheLeases
  /** Told of the entry before. */
  readonly locks: LockTable
}

/** Ends what is due at `now`, or as much of it as one tick may; the rest stays due. */
export function endDue(state: Endable, index: Index, now: Millis, changes: ChangeSink): void {
  for (let ends = 0; ends < ENDS_PER_TICK;) {
    const due = state.agenda.takeDue(index, now)
    if (due === undefined) return
    ends++
    switch (due.kind) {
      case AGENDA_KEY:
        endKey(state, index, due.name, 0, due.nameEnd, changes)
        break
      case AGENDA_SESSION:
        ends += Math.max(0, endSession(state, index, readOrdered(due.name, 0), END_EXPIRED, changes))
        break
      case AGENDA_ONCE:
        state.once.remove(index, due.name, 0, due.nameEnd)
        break
      case AGENDA_HOLDER:
        ends += state.caches.endHolder(index, now, readOrdered(due.name, 0), ENDS_PER_TICK)
        break
      case AGENDA_MARK:
        state.caches.endMark(index, due.name, 0, due.nameEnd)
        break
      case AGENDA_LOCK:
        state.locks.endDue(due.name.slice(0, due.nameEnd))
        break
      case AGENDA_PLACES:
        ends += state.locks.sweep(readOrdered(due.name, 0))
        break
    }
  }
}

/** Ends a session and the keys bound to it; answers how many these were, -1: there is no such session. Its places in queues go by ticks. */
export function endSession(state: Endable, index: Index, id: Index, why: number, changes: ChangeSink): number {
  if (!state.sessions.has(id)) return -1
  const bound = state.sessions.boundTo(id)
  for (const name of bound) if (name[0] === BOUND_KEY) endKey(state, index, name, 1, name.length, changes)
  state.sessions.remove(index, id)
  state.locks.endSession(index, id)
  const topic = new Uint8Array(ID_BYTES)
  writeOrdered(topic, 0, id)
  changes.change(STREAM_SESSIONS, CHANGE_SESSION_END, topic, 0, ID_BYTES, Uint8Array.of(why), 0, 1)
  return bound.length
}

function endKey(state: Endable, index: Index, key: Uint8Array, start: number, end: number, changes: ChangeSink): void {
  const { keys } = state
  state.lifetimes.remove(index, key, start, end)
  const handle = keys.find(key, start, end)
  if (handle === 0) return
  keys.remove(handle, index)
  changes.change(STREAM_KEYS, CHANGE_EXPIRE, key, start, end, EMPTY_BYTES, 0, 0)
}
