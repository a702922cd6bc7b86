// What ends by the log's time, in the order of its end (PROTOCOL 6, expiry by log position): keys with a ttl, sessions, idempotency keys, leases
// of caches, holdings of locks.
// A table whose keys are big-endian times, so that its order is the agenda's and a capture takes it like any other.
//
//   key: u64 time, big-endian · u8 kind · name          value: nothing
import { MAX_KEY_BYTES, type Index, type Millis } from '@coppice/protocol'
import type { Table } from './table.js'

/** A key of the store, by its name. */
export const AGENDA_KEY = 0
/** A session, by its id in eight bytes, big-endian. */
export const AGENDA_SESSION = 1
/** An idempotency key. */
export const AGENDA_ONCE = 2
/** A holder of cached keys, by its id likewise. */
export const AGENDA_HOLDER = 3
/** A writer that waits for a cached key, by the key. */
export const AGENDA_MARK = 4
/** A lock, by its name: its holding ends. */
export const AGENDA_LOCK = 5
/** The places in queues of a session that has ended, by its id. */
export const AGENDA_PLACES = 6

export const ID_BYTES = 8
const HEAD_BYTES = 9
const TWO_32 = 0x1_0000_0000

/** Whole numbers below 2^53 whose bytes have the order of the numbers. */
export function writeOrdered(b: Uint8Array, at: number, value: number): void {
  const high = Math.floor(value / TWO_32)
  for (let i = 0; i < 4; i++) {
    b[at + i] = high >>> (24 - 8 * i)
    b[at + 4 + i] = (value >>> 0) >>> (24 - 8 * i)
  }
}

export function readOrdered(b: Uint8Array, at: number): number {
  let value = 0
  for (let i = 0; i < 8; i++) value = value * 256 + b[at + i]!
  return value
}

/** What is due, copied out of the table, in a buffer that is used again. */
export interface Due {
  kind: number
  name: Uint8Array
  nameEnd: number
}

export class Agenda {
  readonly table: Table
  /** Time of the first entry, while `#known`. */
  #dueAt: Millis = Infinity
  #known = false
  readonly #key = new Uint8Array(HEAD_BYTES + MAX_KEY_BYTES)
  readonly #due: Due = { kind: 0, name: new Uint8Array(MAX_KEY_BYTES), nameEnd: 0 }

  constructor(table: Table) {
    this.table = table
  }

  /** When the first of all ends; Infinity: nothing does. */
  get dueAt(): Millis {
    if (!this.#known) {
      const first = this.#first()
      this.#dueAt = first === 0 ? Infinity : this.#timeOf(first)
      this.#known = true
    }
    return this.#dueAt
  }

  /** The table was filled by somebody else. */
  loaded(): void {
    this.#known = false
  }

  add(index: Index, at: Millis, kind: number, name: Uint8Array, start: number, end: number): void {
    const length = this.#keyOf(at, kind, name, start, end)
    const handle = this.table.find(this.#key, 0, length)
    this.table.put(handle, index, this.#key, 0, length, this.#key, 0, 0)
    if (at < this.#dueAt) this.#dueAt = at
  }

  /** Takes an entry out, if it is there. */
  remove(index: Index, at: Millis, kind: number, name: Uint8Array, start: number, end: number): void {
    const length = this.#keyOf(at, kind, name, start, end)
    const handle = this.table.find(this.#key, 0, length)
    if (handle === 0) return
    this.table.remove(handle, index)
    if (at <= this.#dueAt) this.#known = false
  }

  /** Takes the first entry out if its time is `now` or before. The answer is good until the next call. */
  takeDue(index: Index, now: Millis): Due | undefined {
    if (this.dueAt > now) return undefined
    const { table } = this
    const key = table.keyOf(this.#first())
    const due = this.#due
    due.kind = key[ID_BYTES]!
    due.nameEnd = key.length - HEAD_BYTES
    due.name.set(key.subarray(HEAD_BYTES))
    table.remove(table.find(key, 0, key.length), index)
    this.#known = false
    return due
  }

  #first(): number {
    let first = 0
    this.table.scan(this.#key, 0, 0, false, (handle) => {
      first = handle
      return false
    })
    return first
  }

  #timeOf(handle: number): Millis {
    return readOrdered(this.table.keyOf(handle), 0)
  }

  #keyOf(at: Millis, kind: number, name: Uint8Array, start: number, end: number): number {
    writeOrdered(this.#key, 0, at)
    this.#key[ID_BYTES] = kind
    this.#key.set(name.subarray(start, end), HEAD_BYTES)
    return HEAD_BYTES + end - start
  }
}
