// Sessions of clients (PRODUCT SDK, `db.session`): kept alive by their client, ended by the log's time, and with each ends what is bound to
// it, at the same entry. A session's id is the index of the entry that opened it.
//
//   sessions: id (8 bytes, big-endian) → u53 expiry · u53 ttl · u32 number of what is bound to it · name
//   bound:    id · u8 kind · name → nothing
import { MAX_KEY_BYTES, MAX_SESSION_KEYS, MAX_SESSIONS, readU32, readU53, Writer } from '@coppice/protocol'
import type { Index, Millis } from '@coppice/protocol'
import { AGENDA_SESSION, ID_BYTES, readOrdered, writeOrdered, type Agenda } from './agenda.js'
import type { ParsedOperation } from './operations.js'
import { FULL_SESSIONS, WRITE_FULL, WRITE_OK } from './replies.js'
import type { Table } from './table.js'

/** A key of the store is bound to the session. */
export const BOUND_KEY = 0

const HEAD_BYTES = 20
const BOUND_HEAD_BYTES = ID_BYTES + 1

/** A session's record, for those who list them. */
export interface SessionRecord {
  readonly id: Index
  /** The log's time at which it ends unless it is kept alive. */
  readonly expiry: Millis
  readonly ttlMs: Millis
  /** Keys bound to it. */
  readonly keys: number
  readonly name: Uint8Array
}

/** The views are good as long as the given ones. */
export function decodeSession(key: Uint8Array, value: Uint8Array): SessionRecord {
  return {
    id: readOrdered(key, 0),
    expiry: readU53(value, 0),
    ttlMs: readU53(value, 8),
    keys: readU32(value, 16),
    name: value.subarray(HEAD_BYTES),
  }
}

/**
 * When something ends that was asked to last `ttlMs` at the log's time `now`. Both are rounded down to whole milliseconds, the one at which it
 * is asked and the one at which it ends: without the one more it could end early.
 */
export function endOf(now: Millis, ttlMs: Millis): Millis {
  return now + ttlMs + 1
}

export class SessionTable {
  readonly table: Table
  readonly bound: Table
  readonly #agenda: Agenda
  readonly #id = new Uint8Array(ID_BYTES)
  readonly #bound = new Uint8Array(BOUND_HEAD_BYTES + MAX_KEY_BYTES)
  readonly #record = new Writer(128)

  constructor(table: Table, bound: Table, agenda: Agenda) {
    this.table = table
    this.bound = bound
    this.#agenda = agenda
  }

  open(index: Index, now: Millis, op: ParsedOperation, b: Uint8Array, out: Writer): void {
    if (this.table.count >= MAX_SESSIONS) {
      out.u8(WRITE_FULL)
      out.u8(FULL_SESSIONS)
      return
    }
    const w = this.#record
    w.reset()
    w.u53(endOf(now, op.ttlMs))
    w.u53(op.ttlMs)
    w.u32(0)
    w.rawRange(b, op.ownerStart, op.ownerEnd)
    this.#put(this.#find(index), index)
    this.#agenda.add(index, endOf(now, op.ttlMs), AGENDA_SESSION, this.#id, 0, ID_BYTES)
    out.u8(WRITE_OK)
    out.u53(index)
  }

  /** Each lives for its ttl from now; the reply names those that have ended. */
  keepAlive(index: Index, now: Millis, op: ParsedOperation, b: Uint8Array, out: Writer): void {
    out.u8(WRITE_OK)
    for (let i = 0; i < op.ids; i++) {
      const id = readU53(b, op.idsAt + 8 * i)
      const handle = this.#find(id)
      if (handle === 0) {
        out.u53(id)
        continue
      }
      const w = this.#copyOf(handle)
      const before = readU53(w.buffer, 0)
      const expiry = Math.max(before, endOf(now, readU53(w.buffer, 8)))
      if (expiry === before) continue
      this.#agenda.remove(index, before, AGENDA_SESSION, this.#id, 0, ID_BYTES)
      this.#agenda.add(index, expiry, AGENDA_SESSION, this.#id, 0, ID_BYTES)
      w.length = 0
      w.u53(expiry)
      w.length = this.table.valueLengthOf(handle)
      this.#put(handle, index)
    }
  }

  has(id: Index): boolean {
    return this.#find(id) !== 0
  }

  /** Whether so many more may be bound to a session that is there. */
  hasRoom(id: Index, more: number): boolean {
    return readU32(this.#copyOf(this.#find(id)).buffer, 16) + more <= MAX_SESSION_KEYS
  }

  /** Binds something to a session that is there. */
  bind(index: Index, id: Index, kind: number, name: Uint8Array, start: number, end: number): void {
    const length = this.#boundKey(id, kind, name, start, end)
    const handle = this.bound.find(this.#bound, 0, length)
    if (handle !== 0) return
    this.bound.put(0, index, this.#bound, 0, length, this.#bound, 0, 0)
    this.#count(index, id, 1)
  }

  unbind(index: Index, id: Index, kind: number, name: Uint8Array, start: number, end: number): void {
    const length = this.#boundKey(id, kind, name, start, end)
    const handle = this.bound.find(this.#bound, 0, length)
    if (handle === 0) return
    this.bound.remove(handle, index)
    this.#count(index, id, -1)
  }

  /** What is bound to a session, `kind · name` each, in the order of their bytes. */
  boundTo(id: Index): Uint8Array[] {
    const found: Uint8Array[] = []
    writeOrdered(this.#bound, 0, id)
    this.bound.scan(this.#bound, 0, ID_BYTES, false, (handle) => {
      if (!this.bound.hasPrefix(handle, this.#bound, 0, ID_BYTES)) return false
      found.push(this.bound.keyOf(handle).subarray(ID_BYTES))
      return true
    })
    return found
  }

  /** Takes the session itself out; whatever is bound to it must have been unbound. False: it is not there. */
  remove(index: Index, id: Index): boolean {
    const handle = this.#find(id)
    if (handle === 0) return false
    const expiry = readU53(this.#copyOf(handle).buffer, 0)
    this.table.remove(handle, index)
    this.#agenda.remove(index, expiry, AGENDA_SESSION, this.#id, 0, ID_BYTES)
    return true
  }

  #find(id: Index): number {
    writeOrdered(this.#id, 0, id)
    return this.table.find(this.#id, 0, ID_BYTES)
  }

  #put(handle: number, index: Index): void {
    this.table.put(handle, index, this.#id, 0, ID_BYTES, this.#record.buffer, 0, this.#record.length)
  }

  #copyOf(handle: number): Writer {
    const w = this.#record
    w.reset()
    this.table.writeValue(handle, w)
    return w
  }

  #count(index: Index, id: Index, more: number): void {
    const handle = this.#find(id)
    if (handle === 0) return
    const w = this.#copyOf(handle)
    const keys = readU32(w.buffer, 16) + more
    w.length = 16
    w.u32(keys)
    w.length = this.table.valueLengthOf(handle)
    this.#put(handle, index)
  }

  #boundKey(id: Index, kind: number, name: Uint8Array, start: number, end: number): number {
    writeOrdered(this.#bound, 0, id)
    this.#bound[ID_BYTES] = kind
    this.#bound.set(name.subarray(start, end), BOUND_HEAD_BYTES)
    return BOUND_HEAD_BYTES + end - start
  }
}
