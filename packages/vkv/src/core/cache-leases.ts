// Leases of client caches (PROTOCOL 9; Grove §6.2, by durations of the log's time instead of wall clocks). A holder may answer a key from
// its memory while its own time runs and its lease on the key was not revoked. A write to a leased key is refused as "blocked": it revokes
// the leases, the holders give them back, and the writer comes again; a holder that does not answer ends by the log's time. While a
// writer waits no lease is granted, so that it waits for one lease at the most.
//
//   holders:   u53 id → u32 ttlMs · u53 expiry · u32 revoked (leases revoked and not given back) · u53 waitedSince (elapsed time)
//   interests: u16 n · key · u53 holder → u53 grantedAt (index) · u8 revoked
//   held:      u53 holder · key → nothing
//   marks:     key → u53 until        a writer waits
//
// Holders inside keys are eight bytes, highest first. Holders and marks end by the agenda.
import { readU32, readU53, Writer, type Index, type Millis } from '@coppice/protocol'
import type { ChangeSink } from '@coppice/replica'
import {
  KEEP_DONE,
  KEEP_REVOKED,
  KEEP_UNKNOWN,
  LEASE_GRANTED,
  LEASE_NEVER,
  LEASE_REFUSED,
  LEASE_UNKNOWN,
  OP_CACHE_CLOSE,
  OP_CACHE_DROP,
  OP_CACHE_FORGET,
  OP_CACHE_KEEP,
  OP_CACHE_LEASE,
  OP_CACHE_OPEN,
} from './cache-operations.js'
import { AGENDA_HOLDER, AGENDA_MARK, ID_BYTES, readOrdered, writeOrdered, type Agenda } from './agenda.js'
import { LEASE_REVOKED, STREAM_CACHES } from './changes.js'
import { readU16 } from './operation-parts.js'
import { WRITE_BLOCKED } from './replies.js'
import { Table } from './table.js'

/** Of all clients together. */
const MAX_HOLDERS = 10_000
const MAX_LEASES = 1_000_000
/** A larger value would cost more to answer through the log than it saves. */
export const MAX_LEASED_VALUE_BYTES = 32 * 1024
/** So long after its last attempt a waiting writer keeps leases from being granted. */
const MARK_MS = 5_000
/** A holder that has had so many times its ttl to give something back is not kept: writers wait for it. */
const PATIENCE = 1
/** It is told to drop everything when it has had this part of its ttl: what it was told by a watch seems to be lost. */
const REMINDER = 1 / 3
/** What the cache leases ask of the keys. */
export interface LeasedKeys {
  /** Writes the answer of a get; its key is b[start, end). */
  answer(b: Uint8Array, start: number, end: number, out: Writer): void
  /** Bytes of the value; 0: there is none. */
  valueBytes(b: Uint8Array, start: number, end: number): number
  /** For how long the key is sure to stay unless it is written, ms; Infinity: for ever; 0: nobody knows. */
  restMs(b: Uint8Array, start: number, end: number, now: Millis): number
}

export class CacheLeases {
  readonly holders: Table
  readonly interests: Table
  readonly held: Table
  readonly marks: Table
  readonly #keys: LeasedKeys
  readonly #agenda: Agenda
  readonly #name = new Writer(64)
  readonly #value = new Writer(32)

  constructor(agenda: Agenda, keys: LeasedKeys) {
    this.#keys = keys
    this.#agenda = agenda
    this.holders = new Table()
    this.interests = new Table()
    this.held = new Table()
    this.marks = new Table()
  }

  get tables(): readonly Table[] {
    return [this.holders, this.interests, this.held, this.marks]
  }

  /** Nobody holds a lease: writes need not ask. */
  get idle(): boolean {
    return this.interests.count === 0 && this.marks.count === 0
  }

  apply(index: Index, now: Millis, b: Uint8Array, start: number, end: number, out: Writer): void {
    switch (b[start]) {
      case OP_CACHE_OPEN:
        return this.#open(index, now, readU32(b, start + 1), out)
      case OP_CACHE_KEEP:
        return this.#keep(index, now, readU53(b, start + 1), out)
      case OP_CACHE_LEASE:
        return this.#lease(index, now, readU53(b, start + 1), b, start + 11, end, out)
      case OP_CACHE_FORGET: {
        const holder = readU53(b, start + 1)
        let at = start + 11
        for (let left = readU16(b, start + 9); left > 0; left--) {
          const keyStart = at + 10
          const keyEnd = keyStart + readU16(b, at + 8)
          this.#giveBack(index, now, holder, readU53(b, at), b, keyStart, keyEnd)
          at = keyEnd
        }
        return out.u8(1)
      }
      case OP_CACHE_DROP:
        this.#dropAll(index, now, readU53(b, start + 1), readU53(b, start + 9), Infinity)
        return out.u8(1)
      case OP_CACHE_CLOSE: {
        const holder = readU53(b, start + 1)
        this.#dropAll(index, now, holder, Infinity, Infinity)
        this.#removeHolder(index, holder)
        return out.u8(1)
      }
    }
  }

  /**
   * Whether a write of b[keyStart, keyEnd) must wait: then the leases on it are revoked, and the answer says for how long it may take.
   * A write that need not wait ends the mark of those that had to.
   */
  blocks(
    index: Index,
    now: Millis,
    b: Uint8Array,
    keyStart: number,
    keyEnd: number,
    out: Writer,
    changes: ChangeSink,
  ): boolean {
    const waitMs = this.revoke(index, now, b, keyStart, keyEnd, changes)
    if (waitMs < 0) {
      this.unmark(index, b, keyStart, keyEnd)
      return false
    }
    this.mark(index, now, b, keyStart, keyEnd)
    out.u8(WRITE_BLOCKED)
    out.u32(Math.min(waitMs, 0xffff_ffff))
    return true
  }

  /** No writer waits for the key any more. */
  unmark(index: Index, b: Uint8Array, keyStart: number, keyEnd: number): void {
    const mark = this.marks.find(b, keyStart, keyEnd)
    if (mark === 0) return
    this.#agenda.remove(index, readU53(this.marks.valueOf(mark), 0), AGENDA_MARK, b, keyStart, keyEnd)
    this.marks.remove(this.marks.find(b, keyStart, keyEnd), index)
  }

  /** A holder's time is over: ends up to `most` of its leases, the rest at the next tick, and it after them; answers how many. */
  endHolder(index: Index, now: Millis, holder: Index, most: number): number {
    const dropped = this.#dropAll(index, now, holder, Infinity, most)
    const name = this.#holderName(holder)
    const handle = this.holders.find(name, 0, ID_BYTES)
    if (handle === 0) return dropped
    // Its leases count until the last of them is gone.
    if (dropped === most)
      this.#agenda.add(index, readHolder(this.holders, handle).expiry, AGENDA_HOLDER, name, 0, ID_BYTES)
    else this.holders.remove(handle, index)
    return dropped
  }

  /** The writer that waited for the key has not come again. */
  endMark(index: Index, key: Uint8Array, start: number, end: number): void {
    const handle = this.marks.find(key, start, end)
    if (handle !== 0) this.marks.remove(handle, index)
  }

  #open(index: Index, now: Millis, ttlMs: number, out: Writer): void {
    if (this.holders.count >= MAX_HOLDERS) {
      out.u53(0)
      return
    }
    this.#saveHolder(index, index, { ttlMs, expiry: now + ttlMs, revoked: 0, waitedSince: 0 })
    this.#agenda.add(index, now + ttlMs, AGENDA_HOLDER, this.#holderName(index), 0, ID_BYTES)
    out.u53(index)
  }

  #keep(index: Index, now: Millis, holder: Index, out: Writer): void {
    const name = this.#holderName(holder)
    const handle = this.holders.find(name, 0, ID_BYTES)
    // One whose time is up has ended, though its leases may not all be gone yet.
    const known = handle === 0 ? undefined : readHolder(this.holders, handle)
    if (known === undefined || known.expiry <= now) {
      out.u8(KEEP_UNKNOWN)
      out.u53(index)
      return
    }
    const waitedMs = known.revoked === 0 ? 0 : now - known.waitedSince
    const stubborn = waitedMs > PATIENCE * known.ttlMs
    if (!stubborn) {
      const expiry = Math.max(known.expiry, now + known.ttlMs)
      this.#agenda.remove(index, known.expiry, AGENDA_HOLDER, name, 0, ID_BYTES)
      this.#saveHolder(index, holder, { ...known, expiry })
      this.#agenda.add(index, expiry, AGENDA_HOLDER, this.#holderName(holder), 0, ID_BYTES)
    }
    out.u8(stubborn ? KEEP_UNKNOWN : waitedMs > REMINDER * known.ttlMs ? KEEP_REVOKED : KEEP_DONE)
    out.u53(index)
  }

  #lease(index: Index, now: Millis, holder: Index, b: Uint8Array, keyStart: number, keyEnd: number, out: Writer): void {
    const handle = this.holders.find(this.#holderName(holder), 0, ID_BYTES)
    const known = handle === 0 ? undefined : readHolder(this.holders, handle)
    const restMs = this.#keys.restMs(b, keyStart, keyEnd, now)
    const large = this.#keys.valueBytes(b, keyStart, keyEnd) > MAX_LEASED_VALUE_BYTES
    let status = LEASE_GRANTED
    if (known === undefined || known.expiry <= now) status = LEASE_UNKNOWN
    else if (large || restMs === 0) status = LEASE_NEVER
    else if (!this.#grant(index, now, holder, b, keyStart, keyEnd)) status = LEASE_REFUSED
    out.u8(status)
    out.u53(index)
    out.u32(Math.min(Math.floor(restMs), 0xffff_ffff))
    if (large) out.u8(0)
    else this.#keys.answer(b, keyStart, keyEnd, out)
  }

  #grant(index: Index, now: Millis, holder: Index, b: Uint8Array, keyStart: number, keyEnd: number): boolean {
    if (this.marks.count > 0) {
      const mark = this.marks.find(b, keyStart, keyEnd)
      if (mark !== 0 && readU53(this.marks.valueOf(mark), 0) > now) return false
    }
    const name = this.#interestName(b, keyStart, keyEnd, holder)
    const known = this.interests.find(name.buffer, 0, name.length)
    if (known === 0) {
      if (this.interests.count >= MAX_LEASES) return false
      const own = this.#heldName(holder, b, keyStart, keyEnd)
      const handle = this.held.find(own.buffer, 0, own.length)
      this.held.put(handle, index, own.buffer, 0, own.length, own.buffer, 0, 0)
    }
    const again = this.#interestName(b, keyStart, keyEnd, holder)
    const handle = this.interests.find(again.buffer, 0, again.length)
    this.#saveInterest(handle, index, again, index, false)
    return true
  }

  /** Revokes the leases on a key; for how long the longest of them may last, ms; -1: there are none. */
  revoke(index: Index, now: Millis, b: Uint8Array, keyStart: number, keyEnd: number, changes: ChangeSink): number {
    if (this.interests.count === 0) return -1
    const prefix = this.#interestName(b, keyStart, keyEnd, undefined).take()
    const names: Uint8Array[] = []
    this.interests.scan(prefix, 0, prefix.length, false, (handle) => {
      if (!this.interests.hasPrefix(handle, prefix, 0, prefix.length)) return false
      names.push(this.interests.keyOf(handle))
      return true
    })
    let waitMs = -1
    for (const name of names) {
      const handle = this.interests.find(name, 0, name.length)
      const value = this.interests.valueOf(handle)
      const holder = readOrdered(name, name.length - ID_BYTES)
      const holderHandle = this.holders.find(this.#holderName(holder), 0, ID_BYTES)
      const known = readHolder(this.holders, holderHandle)
      waitMs = Math.max(waitMs, known.expiry - now, 0)
      if (value[8] === 1) continue
      const grantedAt = readU53(value, 0)
      this.#saveInterest(handle, index, name, grantedAt, true)
      const waitedSince = known.revoked === 0 ? now : known.waitedSince
      this.#saveHolder(index, holder, { ...known, revoked: known.revoked + 1, waitedSince })
      const topic = this.#holderName(holder)
      changes.change(STREAM_CACHES, LEASE_REVOKED, topic, 0, ID_BYTES, b, keyStart, keyEnd)
    }
    return waitMs
  }

  /** A writer waits for the key. */
  mark(index: Index, now: Millis, b: Uint8Array, keyStart: number, keyEnd: number): void {
    const known = this.marks.find(b, keyStart, keyEnd)
    if (known !== 0) this.#agenda.remove(index, readU53(this.marks.valueOf(known), 0), AGENDA_MARK, b, keyStart, keyEnd)
    const value = this.#value
    value.reset()
    value.u53(now + MARK_MS)
    const handle = this.marks.find(b, keyStart, keyEnd)
    this.marks.put(handle, index, b, keyStart, keyEnd, value.buffer, 0, value.length)
    this.#agenda.add(index, now + MARK_MS, AGENDA_MARK, b, keyStart, keyEnd)
  }

  /** Ends a lease if it was granted up to that index. */
  #giveBack(
    index: Index,
    now: Millis,
    holder: Index,
    upTo: Index,
    b: Uint8Array,
    keyStart: number,
    keyEnd: number,
  ): void {
    const name = this.#interestName(b, keyStart, keyEnd, holder)
    const handle = this.interests.find(name.buffer, 0, name.length)
    if (handle === 0) return
    const value = this.interests.valueOf(handle)
    if (readU53(value, 0) > upTo) return
    const wasRevoked = value[8] === 1
    this.interests.remove(handle, index)
    const own = this.#heldName(holder, b, keyStart, keyEnd)
    const ownHandle = this.held.find(own.buffer, 0, own.length)
    if (ownHandle !== 0) this.held.remove(ownHandle, index)
    if (!wasRevoked) return
    const known = readHolder(this.holders, this.holders.find(this.#holderName(holder), 0, ID_BYTES))
    // It answers: whatever else it has to give back, it is given time anew.
    this.#saveHolder(index, holder, { ...known, revoked: known.revoked - 1, waitedSince: now })
  }

  /** Gives back up to `most` leases of a holder that were granted up to that index; how many. */
  #dropAll(index: Index, now: Millis, holder: Index, upTo: Index, most: number): number {
    const prefix = this.#holderName(holder).slice(0, ID_BYTES)
    const keys: Uint8Array[] = []
    this.held.scan(prefix, 0, ID_BYTES, false, (handle) => {
      if (keys.length >= most || !this.held.hasPrefix(handle, prefix, 0, ID_BYTES)) return false
      keys.push(this.held.keyOf(handle))
      return true
    })
    for (const key of keys) this.#giveBack(index, now, holder, upTo, key, 8, key.length)
    return keys.length
  }

  #removeHolder(index: Index, holder: Index): void {
    const name = this.#holderName(holder).slice(0, ID_BYTES)
    const handle = this.holders.find(name, 0, ID_BYTES)
    if (handle === 0) return
    const { expiry } = readHolder(this.holders, handle)
    this.holders.remove(handle, index)
    this.#agenda.remove(index, expiry, AGENDA_HOLDER, name, 0, ID_BYTES)
  }

  #saveHolder(index: Index, holder: Index, { ttlMs, expiry, revoked, waitedSince }: Holder): void {
    const value = this.#value
    value.reset()
    value.u32(ttlMs)
    value.u53(expiry)
    value.u32(revoked)
    value.u53(waitedSince)
    const name = this.#holderName(holder)
    this.holders.put(this.holders.find(name, 0, ID_BYTES), index, name, 0, ID_BYTES, value.buffer, 0, value.length)
  }

  #saveInterest(handle: number, index: Index, name: Writer | Uint8Array, grantedAt: Index, revoked: boolean): void {
    const value = this.#value
    value.reset()
    value.u53(grantedAt)
    value.u8(revoked ? 1 : 0)
    const bytes = name instanceof Uint8Array ? name : name.buffer
    this.interests.put(handle, index, bytes, 0, name.length, value.buffer, 0, value.length)
  }

  #holderName(holder: Index): Uint8Array {
    this.#name.reset()
    addOrdered(this.#name, holder)
    return this.#name.buffer
  }

  #interestName(b: Uint8Array, start: number, end: number, holder: Index | undefined): Writer {
    const w = this.#name
    w.reset()
    w.u8((end - start) >>> 8)
    w.u8(end - start)
    w.rawRange(b, start, end)
    if (holder !== undefined) addOrdered(w, holder)
    return w
  }

  #heldName(holder: Index, b: Uint8Array, start: number, end: number): Writer {
    const w = this.#name
    w.reset()
    addOrdered(w, holder)
    w.rawRange(b, start, end)
    return w
  }
}

interface Holder {
  readonly ttlMs: number
  readonly expiry: Millis
  readonly revoked: number
  readonly waitedSince: Millis
}

function readHolder(holders: Table, handle: number): Holder {
  const value = holders.valueOf(handle)
  return {
    ttlMs: readU32(value, 0),
    expiry: readU53(value, 4),
    revoked: readU32(value, 12),
    waitedSince: readU53(value, 16),
  }
}

/** Eight bytes, highest first. */
function addOrdered(w: Writer, id: Index): void {
  const at = w.grow(ID_BYTES)
  writeOrdered(w.buffer, at, id)
}
