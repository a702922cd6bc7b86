// A lock as the table of locks keeps it under its name (PROTOCOL 9).
//
//   u53 fence · u53 expiry · u8 flags · u32 waiters · u8 n · owner · value …
import { EMPTY_BYTES, Reader, readU53, type Index, type Millis, type Writer } from '@coppice/protocol'
import { readU16 } from './operation-parts.js'
import type { Table } from './table.js'

const FLAG_INHERITED = 1
const FLAG_GRANTED = 2

export interface LockRecord {
  /** Index of the entry that gave the lock to its owner; 0: nobody has it. */
  readonly fence: Index
  /** End of the holding by the log's elapsed time. Of a free lock with waiters: when it is next looked at. */
  readonly expiry: Millis
  /** The last one who held it did not release it, and nobody has held and released it since. */
  readonly inherited: boolean
  /** It was given to a waiter that has not confirmed yet, and does not hold it before. */
  readonly granted: boolean
  /** Places in its queue, also those of waiters whose session has ended and was not swept yet. */
  readonly waiters: number
  readonly owner: Uint8Array
  /** What the holder says of itself to those who observe the lock. */
  readonly value: Uint8Array
}

export const FREE: LockRecord = {
  fence: 0,
  expiry: 0,
  inherited: false,
  granted: false,
  waiters: 0,
  owner: EMPTY_BYTES,
  value: EMPTY_BYTES,
}

/** Owner and value are copies. */
export function decodeLock(record: Uint8Array): LockRecord {
  const r = new Reader(record)
  const fence = r.u53()
  const expiry = r.u53()
  const flags = r.u8()
  const waiters = r.u32()
  const ownerBytes = r.u8()
  const at = r.skip(ownerBytes)
  const owner = record.slice(at, at + ownerBytes)
  const value = r.rest().slice()
  const inherited = (flags & FLAG_INHERITED) !== 0
  return { fence, expiry, inherited, granted: (flags & FLAG_GRANTED) !== 0, waiters, owner, value }
}

export function encodeLock(lock: LockRecord, w: Writer): void {
  w.reset()
  w.u53(lock.fence)
  w.u53(lock.expiry)
  w.u8((lock.inherited ? FLAG_INHERITED : 0) | (lock.granted ? FLAG_GRANTED : 0))
  w.u32(lock.waiters)
  w.u8(lock.owner.length)
  w.raw(lock.owner)
  w.raw(lock.value)
}

/** The fence with which the lock of this name is held; 0: free. */
export function fenceOf(locks: Table, name: Uint8Array, start: number, end: number): Index {
  const handle = locks.find(name, start, end)
  return handle === 0 ? 0 : readU53(locks.pageOf(handle), locks.valueOffset(handle))
}

/** What a refusal says of a guard that does not hold: u8 its number · u53 the fence its lock has now. `at`: where the guards begin. */
export function writeBroken(locks: Table, b: Uint8Array, at: number, broken: number, out: Writer): void {
  for (let i = 0; i < broken; i++) at += 10 + readU16(b, at)
  out.u8(broken)
  out.u53(fenceOf(locks, b, at + 2, at + 2 + readU16(b, at)))
}

/** Number of the first of `count` guards at `at` that does not hold; -1: all do. */
export function brokenGuard(locks: Table, b: Uint8Array, at: number, count: number): number {
  for (let i = 0; i < count; i++) {
    const end = at + 2 + readU16(b, at)
    const fence = readU53(b, end)
    // Fence 0 is "not held", so no guard may name it: a write would be allowed exactly when nobody holds the lock.
    if (fence === 0 || fenceOf(locks, b, at + 2, end) !== fence) return i
    at = end + 8
  }
  return -1
}
