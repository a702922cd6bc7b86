// Locks as operations of the log (PROTOCOL 9): {owner, fence = index of the acquire, unchanged by renewals, expiry by the log's
// elapsed time}. Taken from free or expired, released only by its owner; a short queue of waiters makes it fair, so that
// nobody who keeps asking waits for ever.
//
// A lock's record: u53 fence (0: free, kept for its waiters) · u53 expiry · u8 inherited · u8 n · owner · u8 n · n × (u53 until · u8 n · owner)
import { Reader, readU53, Writer, type Index, type Millis } from '@coppice/protocol'
import { readU16, type ParsedOperation } from './operations.js'
import { NO_PLACE, TAKEN_EXPIRED, TAKEN_FREE, TAKEN_OWN } from './replies.js'
import type { Table } from './table.js'

/** Waiters a lock remembers; more of them still get it, by asking when it is free and nobody waits. */
export const MAX_WAITERS = 16

export interface Waiter {
  readonly owner: Uint8Array
  /** Its place is kept until this elapsed time; every further attempt moves it on. */
  readonly until: Millis
}
export interface LockRecord {
  /** 0: nobody holds it. */
  readonly fence: Index
  readonly expiry: Millis
  /** It was taken from a holder that had not released it. */
  readonly inherited: boolean
  readonly owner: Uint8Array
  /** First come, first served. */
  readonly waiters: readonly Waiter[]
}

export function decodeLock(value: Uint8Array): LockRecord {
  const r = new Reader(value)
  const fence = r.u53()
  const expiry = r.u53()
  const inherited = r.u8() === 1
  const owner = shortBytes(r)
  const waiters: Waiter[] = []
  for (let n = r.u8(); n > 0; n--) waiters.push({ until: r.u53(), owner: shortBytes(r) })
  r.finish()
  return { fence, expiry, inherited, owner, waiters }
}

function encodeLock(lock: LockRecord, w: Writer): void {
  w.reset()
  w.u53(lock.fence)
  w.u53(lock.expiry)
  w.u8(lock.inherited ? 1 : 0)
  w.u8(lock.owner.length)
  w.raw(lock.owner)
  w.u8(lock.waiters.length)
  for (const waiter of lock.waiters) {
    w.u53(waiter.until)
    w.u8(waiter.owner.length)
    w.raw(waiter.owner)
  }
}

function shortBytes(r: Reader): Uint8Array {
  const n = r.u8()
  const at = r.skip(n)
  return r.buffer.slice(at, at + n)
}

const FREE: LockRecord = { fence: 0, expiry: 0, inherited: false, owner: new Uint8Array(0), waiters: [] }

/** The fence with which the lock of this name is held; 0: free. */
export function fenceOf(locks: Table, name: Uint8Array, start: number, end: number): Index {
  const handle = locks.find(name, start, end)
  return handle === 0 ? 0 : readU53(locks.pageOf(handle), locks.valueOffset(handle))
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

export class LockTable {
  readonly table: Table
  readonly #scratch = new Writer(128)

  constructor(table: Table) {
    this.table = table
  }

  acquire(index: Index, now: Millis, op: ParsedOperation, b: Uint8Array, out: Writer): void {
    const handle = this.table.find(b, op.keyStart, op.keyEnd)
    const lock = handle === 0 ? FREE : decodeLock(this.table.valueOf(handle))
    const me = b.slice(op.ownerStart, op.ownerEnd)
    const held = lock.fence !== 0 && now < lock.expiry
    if (held && sameBytes(lock.owner, me)) {
      // A retry of the one who holds it: the same fence again, and the time it asks for.
      this.#save(handle, index, op, b, { ...lock, expiry: Math.max(lock.expiry, now + op.ttlMs) })
      return acquired(out, lock.fence, lock.inherited ? TAKEN_EXPIRED : TAKEN_OWN)
    }
    const waiters = lock.waiters.filter((waiter) => waiter.until > now)
    const first = waiters[0]
    // An expired lock and a free one go to the waiter that came first; the others wait until its place lapses.
    if (!held && (first === undefined || sameBytes(first.owner, me))) {
      const rest = waiters.filter((waiter) => !sameBytes(waiter.owner, me))
      const inherited = lock.fence !== 0
      this.#save(handle, index, op, b, { fence: index, expiry: now + op.ttlMs, inherited, owner: me, waiters: rest })
      return acquired(out, index, inherited ? TAKEN_EXPIRED : TAKEN_FREE)
    }
    const retryMs = held ? lock.expiry - now : first!.until - now
    const place = this.#queue(handle, index, now, op, b, { ...lock, waiters }, me)
    out.u8(1)
    out.u53(lock.fence)
    out.u32(Math.min(retryMs, 0xffff_ffff))
    out.u8(place)
  }

  /** Keeps a place for `me` if it asked for one and there is room; answers which. */
  #queue(
    handle: number,
    index: Index,
    now: Millis,
    op: ParsedOperation,
    b: Uint8Array,
    lock: LockRecord,
    me: Uint8Array,
  ): number {
    const waiters = [...lock.waiters]
    let place = waiters.findIndex((waiter) => sameBytes(waiter.owner, me))
    if (op.waitMs === 0) return place < 0 ? NO_PLACE : place
    const mine = { owner: me, until: now + op.waitMs }
    if (place >= 0) waiters[place] = mine
    else if (waiters.length < MAX_WAITERS) place = waiters.push(mine) - 1
    else return NO_PLACE
    this.#save(handle, index, op, b, { ...lock, waiters })
    return place
  }

  renew(index: Index, now: Millis, op: ParsedOperation, b: Uint8Array, out: Writer): void {
    const handle = this.table.find(b, op.keyStart, op.keyEnd)
    const lock = handle === 0 ? FREE : decodeLock(this.table.valueOf(handle))
    const mine = lock.fence !== 0 && lock.fence === op.fence && isOwner(lock.owner, op, b)
    // An expired lock that nobody took is still this owner's: its fence is the newest one.
    if (mine) {
      const expiry = op.ttlMs === 0 ? Math.min(lock.expiry, now) : Math.max(lock.expiry, now + op.ttlMs)
      this.#save(handle, index, op, b, { ...lock, expiry })
    }
    out.u8(mine ? 1 : 0)
  }

  release(index: Index, now: Millis, op: ParsedOperation, b: Uint8Array, out: Writer): void {
    const handle = this.table.find(b, op.keyStart, op.keyEnd)
    const lock = handle === 0 ? FREE : decodeLock(this.table.valueOf(handle))
    const mine = lock.fence !== 0 && (op.fence === 0 || lock.fence === op.fence) && isOwner(lock.owner, op, b)
    const waiters = lock.waiters.filter((waiter) => waiter.until > now && !isOwner(waiter.owner, op, b))
    // One who does not know whether it got the lock does not know how it was found either: that must not be forgotten.
    if (mine && op.fence === 0 && lock.inherited) {
      this.#save(handle, index, op, b, { ...lock, expiry: Math.min(lock.expiry, now), waiters })
    } else if (mine && waiters.length === 0) this.table.remove(handle, index)
    else if (mine) this.#save(handle, index, op, b, { ...FREE, waiters })
    else if (waiters.length === 0 && lock.fence === 0 && handle !== 0) this.table.remove(handle, index)
    else if (waiters.length !== lock.waiters.length) this.#save(handle, index, op, b, { ...lock, waiters })
    out.u8(mine ? 1 : 0)
  }

  #save(handle: number, index: Index, op: ParsedOperation, b: Uint8Array, lock: LockRecord): void {
    encodeLock(lock, this.#scratch)
    this.table.put(handle, index, b, op.keyStart, op.keyEnd, this.#scratch.buffer, 0, this.#scratch.length)
  }
}

function acquired(out: Writer, fence: Index, taken: number): void {
  out.u8(0)
  out.u53(fence)
  out.u8(taken)
}

function isOwner(owner: Uint8Array, op: ParsedOperation, b: Uint8Array): boolean {
  if (owner.length !== op.ownerEnd - op.ownerStart) return false
  for (let i = 0; i < owner.length; i++) if (owner[i] !== b[op.ownerStart + i]) return false
  return true
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
