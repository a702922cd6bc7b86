// Locks as operations of the log (PROTOCOL 9): {owner, fence, expiry by the log's elapsed time}. Whoever finds it free takes it; others
// stand in a queue, and the entry that ends a holding (a release, an abandonment, a tick) gives the lock to the first of them. A fence is the
// index of the entry that gave the lock to its owner, unchanged by renewals. A waiter that was given the lock confirms it by
// a renewal, and does not hold it before; one that is dead loses it soon.
import { EMPTY_BYTES as EMPTY, Writer, type Index, type Millis } from '@coppice/protocol'
import type { ChangeSink } from '@coppice/replica'
import { AGENDA_LOCK, AGENDA_PLACES, ID_BYTES, writeOrdered, type Agenda } from './agenda.js'
import {
  CHANGE_LOCK_FREE,
  CHANGE_LOCK_GRANTED,
  CHANGE_LOCK_HELD,
  CHANGE_LOCK_LEFT,
  CHANGE_LOCK_QUEUED,
  STREAM_LOCKS,
  writeLockTopic,
} from './changes.js'
import { LockQueue, type Waiter } from './lock-queue.js'
import { decodeLock, encodeLock, FREE, type LockRecord } from './lock-record.js'
import type { ParsedOperation } from './operations.js'
import {
  ACQUIRE_BUSY,
  ACQUIRE_FULL,
  ACQUIRE_NO_SESSION,
  ACQUIRE_OK,
  ACQUIRE_QUEUED,
  TAKEN_EXPIRED,
  TAKEN_FREE,
  TAKEN_OWN,
} from './replies.js'
import type { Table } from './table.js'

/** Waiters of all locks together. */
export const MAX_WAITERS = 100_000
/** A waiter that was given the lock confirms within this time, by the log's, or the next one gets it. */
export const GRANT_MS = 3_000
/** Waiters without a live session that one entry passes over for one lock; a tick goes on. */
const MAX_PASSED_OVER = 256
/** Places of an ended session that one tick sweeps. */
const MAX_SWEPT = 256

export class LockTable {
  readonly table: Table
  readonly #queue: LockQueue
  /** Whether a session lives: places of those that do not are never given the lock. */
  readonly #lives: (session: Index) => boolean
  readonly #agenda: Agenda
  readonly #scratch = new Writer(128)
  readonly #payload = new Writer(128)
  readonly #topic = new Writer(128)
  readonly #id = new Uint8Array(ID_BYTES)
  // Of the entry that is being applied.
  #index: Index = 0
  #now: Millis = 0
  #changes!: ChangeSink

  readonly #maxWaiters: number

  constructor(
    table: Table,
    waiting: Table,
    agenda: Agenda,
    lives: (session: Index) => boolean,
    maxWaiters = MAX_WAITERS,
  ) {
    this.#maxWaiters = maxWaiters
    this.table = table
    this.#queue = new LockQueue(waiting)
    this.#agenda = agenda
    this.#lives = lives
  }

  /** Who waits; captured with the locks. */
  get waiting(): Table {
    return this.#queue.table
  }

  /** The entry whose operations follow. */
  at(index: Index, now: Millis, changes: ChangeSink): this {
    this.#index = index
    this.#now = now
    this.#changes = changes
    return this
  }

  acquire(op: ParsedOperation, b: Uint8Array, out: Writer): void {
    const name = b.slice(op.keyStart, op.keyEnd)
    const me = b.slice(op.ownerStart, op.ownerEnd)
    const lock = this.#settled(name)
    const until = this.#now + op.ttlMs
    if (lock.fence !== 0 && sameBytes(lock.owner, me)) {
      // A retry of the one who has it: the same fence again, and the time it asks for.
      const taken = lock.inherited ? TAKEN_EXPIRED : lock.granted ? TAKEN_FREE : TAKEN_OWN
      this.#hold(name, lock, op, b, until)
      return acquired(out, lock.fence, taken)
    }
    if (lock.fence === 0 && lock.waiters === 0) {
      const taken = { ...lock, fence: this.#index, expiry: until, owner: me, value: valueOf(op, b) }
      this.#save(name, lock, taken)
      this.#publish(CHANGE_LOCK_HELD, name, taken)
      return acquired(out, this.#index, lock.inherited ? TAKEN_EXPIRED : TAKEN_FREE)
    }
    this.#wait(name, lock, me, op.session, out)
  }

  /** Keeps a place for `me` if it came with a session. */
  #wait(name: Uint8Array, lock: LockRecord, me: Uint8Array, session: Index, out: Writer): void {
    if (session === 0) return refused(out, ACQUIRE_BUSY, lock.fence)
    if (!this.#lives(session)) return refused(out, ACQUIRE_NO_SESSION, lock.fence)
    let place = this.#queue.placeOf(session, name, me)
    if (place === 0) {
      if (this.#queue.count >= this.#maxWaiters) return refused(out, ACQUIRE_FULL, lock.fence)
      place = this.#index
      this.#queue.add(this.#index, name, { place, session, owner: me })
      this.#save(name, lock, { ...lock, waiters: lock.waiters + 1 })
      this.#publishPlace(CHANGE_LOCK_QUEUED, name, me)
    }
    refused(out, ACQUIRE_QUEUED, lock.fence)
    out.u53(place)
    out.u53(this.#index)
  }

  renew(op: ParsedOperation, b: Uint8Array, out: Writer): void {
    const name = b.slice(op.keyStart, op.keyEnd)
    const lock = this.#settled(name)
    const mine = lock.fence !== 0 && lock.fence === op.fence && isOwner(lock.owner, op, b)
    if (mine && op.ttlMs === 0) this.#pass(name, lock, lock.granted ? lock.inherited : true)
    else if (mine) this.#hold(name, lock, op, b, this.#now + op.ttlMs)
    out.u8(mine ? 1 : 0)
  }

  release(op: ParsedOperation, b: Uint8Array, out: Writer): void {
    const name = b.slice(op.keyStart, op.keyEnd)
    const lock = this.#settled(name)
    const mine = lock.fence !== 0 && (op.fence === 0 || lock.fence === op.fence) && isOwner(lock.owner, op, b)
    // One who does not know whether it got the lock does not know how it was found either: that must not be forgotten.
    if (mine) this.#pass(name, lock, lock.inherited && (op.fence === 0 || lock.granted))
    else if (op.session !== 0) this.#leave(name, lock, op.session, b.slice(op.ownerStart, op.ownerEnd))
    out.u8(mine ? 1 : 0)
  }

  /** A session ended: its places are given nothing any more, and ticks sweep them. */
  endSession(index: Index, session: Index): void {
    if (this.#queue.someOf(session) === undefined) return
    writeOrdered(this.#id, 0, session)
    this.#agenda.add(index, 0, AGENDA_PLACES, this.#id, 0, ID_BYTES)
  }

  /** The agenda says that a holding is over. */
  endDue(name: Uint8Array): void {
    this.#settled(name)
  }

  /** The agenda says that a session has ended; answers how many places went. */
  sweep(session: Index): number {
    for (let swept = 0; swept < MAX_SWEPT; swept++) {
      const waiter = this.#queue.someOf(session)
      if (waiter === undefined) return swept
      this.#leave(waiter.name, this.#load(waiter.name), session, waiter.owner)
    }
    this.endSession(this.#index, session)
    return MAX_SWEPT
  }

  /** The lock as it is at this entry: a holding whose time is over has ended. */
  #settled(name: Uint8Array): LockRecord {
    const lock = this.#load(name)
    if ((lock.fence === 0 && lock.waiters === 0) || this.#now < lock.expiry) return lock
    // Who did not confirm has not held it: what it found is what the next one finds.
    this.#pass(name, lock, lock.fence === 0 || lock.granted ? lock.inherited : true)
    return this.#load(name)
  }

  /** The owner holds it, if it did not before, and at least until then. */
  #hold(name: Uint8Array, lock: LockRecord, op: ParsedOperation, b: Uint8Array, until: Millis): void {
    const held = {
      ...lock,
      granted: false,
      expiry: lock.granted ? until : Math.max(lock.expiry, until),
      value: op.hasNext ? valueOf(op, b) : lock.value,
    }
    this.#save(name, lock, held)
    if (lock.granted || op.hasNext) this.#publish(CHANGE_LOCK_HELD, name, held)
  }

  /** The holding is over: the first waiter that lives is given the lock, in this entry. */
  #pass(name: Uint8Array, lock: LockRecord, inherited: boolean): void {
    let { waiters } = lock
    for (let passed = 0; waiters > 0; passed++) {
      const waiter = this.#queue.first(name)!
      const lives = this.#lives(waiter.session)
      if (!lives && passed === MAX_PASSED_OVER) break
      waiters--
      if (!lives) {
        this.#drop(name, waiter)
        continue
      }
      this.#queue.remove(this.#index, name, waiter)
      const expiry = this.#now + GRANT_MS
      const next = { ...FREE, fence: this.#index, expiry, inherited, granted: true, waiters, owner: waiter.owner }
      this.#save(name, lock, next)
      return this.#publish(CHANGE_LOCK_GRANTED, name, next)
    }
    // With waiters left over it is looked at again, in another entry.
    this.#save(name, lock, { ...FREE, expiry: this.#now + 1, inherited, waiters })
    if (lock.fence !== 0) this.#publish(CHANGE_LOCK_FREE, name, { ...lock, inherited })
  }

  /** The owner's place is given up. */
  #leave(name: Uint8Array, lock: LockRecord, session: Index, owner: Uint8Array): void {
    const place = this.#queue.placeOf(session, name, owner)
    if (place === 0) return
    this.#drop(name, { place, session, owner })
    this.#save(name, lock, { ...lock, waiters: lock.waiters - 1 })
  }

  #drop(name: Uint8Array, waiter: Waiter): void {
    this.#queue.remove(this.#index, name, waiter)
    this.#publishPlace(CHANGE_LOCK_LEFT, name, waiter.owner)
  }

  #load(name: Uint8Array): LockRecord {
    const handle = this.table.find(name, 0, name.length)
    return handle === 0 ? FREE : decodeLock(this.table.valueOf(handle))
  }

  #save(name: Uint8Array, old: LockRecord, next: LockRecord): void {
    const oldDue = dueOf(old)
    const nextDue = dueOf(next)
    if (oldDue !== nextDue) {
      if (oldDue !== Infinity) this.#agenda.remove(this.#index, oldDue, AGENDA_LOCK, name, 0, name.length)
      if (nextDue !== Infinity) this.#agenda.add(this.#index, nextDue, AGENDA_LOCK, name, 0, name.length)
    }
    const handle = this.table.find(name, 0, name.length)
    if (next.fence !== 0 || next.waiters > 0 || next.inherited) {
      encodeLock(next, this.#scratch)
      this.table.put(handle, this.#index, name, 0, name.length, this.#scratch.buffer, 0, this.#scratch.length)
    } else if (handle !== 0) this.table.remove(handle, this.#index)
  }

  /** Who has the lock has changed. */
  #publish(kind: number, name: Uint8Array, lock: LockRecord): void {
    const w = this.#payload
    w.reset()
    w.u53(lock.fence)
    w.u8(lock.inherited ? 1 : 0)
    w.raw(lock.value)
    this.#change(kind, name, lock.owner, w.length)
  }

  #publishPlace(kind: number, name: Uint8Array, owner: Uint8Array): void {
    this.#change(kind, name, owner, 0)
  }

  #change(kind: number, name: Uint8Array, owner: Uint8Array, payloadEnd: number): void {
    const w = this.#topic
    w.reset()
    writeLockTopic(w, name, owner)
    this.#changes.change(STREAM_LOCKS, kind, w.buffer, 0, w.length, this.#payload.buffer, 0, payloadEnd)
  }
}

/** When time changes something about the lock; Infinity: never. */
function dueOf(lock: LockRecord): Millis {
  return lock.fence !== 0 || lock.waiters > 0 ? lock.expiry : Infinity
}

function valueOf(op: ParsedOperation, b: Uint8Array): Uint8Array {
  return op.hasNext ? b.slice(op.nextStart, op.nextEnd) : EMPTY
}

function acquired(out: Writer, fence: Index, taken: number): void {
  out.u8(ACQUIRE_OK)
  out.u53(fence)
  out.u8(taken)
}

function refused(out: Writer, status: number, fence: Index): void {
  out.u8(status)
  out.u53(fence)
}

function isOwner(owner: Uint8Array, op: ParsedOperation, b: Uint8Array): boolean {
  if (owner.length !== op.ownerEnd - op.ownerStart) return false
  for (let i = 0; i < owner.length; i++) if (owner[i] !== b[op.ownerStart + i]) return false
  return true
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
