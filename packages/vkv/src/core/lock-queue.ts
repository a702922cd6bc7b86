// Who waits for which lock: two rows of one table for each waiter, so that every step costs the logarithm of their number, and captures take
// them as they take keys.
//
//   place:  u8 1 · u16 n · name · u64 place            →  u53 session · owner    first come, first served: in the order of places
//   member: u8 2 · u64 session · u16 n · name · owner  →  u53 place              what a session that ends takes with it
//
// Numbers in keys are big-endian, so that the order of the bytes is theirs.
import { readU53, Writer, type Index } from '@coppice/protocol'
import { ID_BYTES, readOrdered, writeOrdered } from './agenda.js'
import type { Table } from './table.js'

const ROW_PLACE = 1
const ROW_MEMBER = 2
const MEMBER_NAME_AT = 1 + ID_BYTES + 2

export interface Waiter {
  /** Index of the entry that queued it. */
  readonly place: Index
  /** With whose end its place lapses. */
  readonly session: Index
  readonly owner: Uint8Array
}
export interface Membership {
  readonly name: Uint8Array
  readonly owner: Uint8Array
}

export class LockQueue {
  readonly table: Table
  readonly #key = new Writer(256)
  readonly #value = new Writer(128)

  constructor(table: Table) {
    this.table = table
  }

  /** Waiters of all locks. */
  get count(): number {
    return this.table.count / 2
  }

  add(index: Index, name: Uint8Array, waiter: Waiter): void {
    this.#value.reset()
    this.#value.u53(waiter.session)
    this.#value.raw(waiter.owner)
    this.#placeKey(name, waiter.place)
    this.#put(index)
    this.#value.reset()
    this.#value.u53(waiter.place)
    this.#memberKey(waiter.session, name, waiter.owner)
    this.#put(index)
  }

  remove(index: Index, name: Uint8Array, waiter: Waiter): void {
    this.#placeKey(name, waiter.place)
    this.#remove(index)
    this.#memberKey(waiter.session, name, waiter.owner)
    this.#remove(index)
  }

  /** The waiter that came first. */
  first(name: Uint8Array): Waiter | undefined {
    this.#placeKey(name, 0)
    const prefixEnd = this.#key.length - ID_BYTES
    const handle = this.#next(prefixEnd)
    if (handle === 0) return undefined
    const value = this.table.valueOf(handle)
    const place = readOrdered(this.table.keyOf(handle), prefixEnd)
    return { place, session: readU53(value, 0), owner: value.slice(8) }
  }

  /** Place of this owner in the lock's queue; 0: it has none. */
  placeOf(session: Index, name: Uint8Array, owner: Uint8Array): Index {
    this.#memberKey(session, name, owner)
    const handle = this.table.find(this.#key.buffer, 0, this.#key.length)
    return handle === 0 ? 0 : readU53(this.table.pageOf(handle), this.table.valueOffset(handle))
  }

  /** Some waiter of this session; undefined: it has none. */
  someOf(session: Index): Membership | undefined {
    this.#begin(ROW_MEMBER)
    this.#ordered(session)
    const handle = this.#next(this.#key.length)
    if (handle === 0) return undefined
    const key = this.table.keyOf(handle)
    const nameEnd = MEMBER_NAME_AT + ((key[MEMBER_NAME_AT - 2]! << 8) | key[MEMBER_NAME_AT - 1]!)
    return { name: key.slice(MEMBER_NAME_AT, nameEnd), owner: key.slice(nameEnd) }
  }

  /** First row from the scratch key on that begins with its first `prefixBytes`; 0: none. */
  #next(prefixBytes: number): number {
    const { buffer, length } = this.#key
    let found = 0
    this.table.scan(buffer, 0, length, false, (handle) => {
      if (this.table.hasPrefix(handle, buffer, 0, prefixBytes)) found = handle
      return false
    })
    return found
  }

  #put(index: Index): void {
    const { buffer, length } = this.#key
    const handle = this.table.find(buffer, 0, length)
    this.table.put(handle, index, buffer, 0, length, this.#value.buffer, 0, this.#value.length)
  }

  #remove(index: Index): void {
    const handle = this.table.find(this.#key.buffer, 0, this.#key.length)
    if (handle !== 0) this.table.remove(handle, index)
  }

  #placeKey(name: Uint8Array, place: Index): void {
    this.#begin(ROW_PLACE)
    this.#name(name)
    this.#ordered(place)
  }

  #memberKey(session: Index, name: Uint8Array, owner: Uint8Array): void {
    this.#begin(ROW_MEMBER)
    this.#ordered(session)
    this.#name(name)
    this.#key.raw(owner)
  }

  #begin(row: number): void {
    this.#key.reset()
    this.#key.u8(row)
  }

  /** With its length before it, so that no name is the beginning of another. */
  #name(name: Uint8Array): void {
    this.#key.u8(name.length >>> 8)
    this.#key.u8(name.length)
    this.#key.raw(name)
  }

  #ordered(value: number): void {
    const at = this.#key.grow(ID_BYTES)
    writeOrdered(this.#key.buffer, at, value)
  }
}
