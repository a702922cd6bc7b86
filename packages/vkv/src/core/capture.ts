// A consistent image of the tables in pieces, and its loader (PROTOCOL 5, 7: getState is chunked and consistent while apply goes on).
//
// The capture walks the shards. A record that still has its old version when it is about to change, and was not given out yet, is
// copied aside first; whatever has a newer version than the capture is not part of it. So nothing is copied at the beginning, and
// memory grows only by what is overwritten before its turn.
//
//   piece:  entry …                  the first piece begins with a header
//   entry:  u8 table · u53 version · u16 n · key · u32 n · value
//   header: u8 255 · u8 format · u53 lastIndex · u53 elapsed · tables × (u53 count · u53 lastDelete)
import { assert, DecodeError, Reader, Writer, type Index, type Millis } from '@coppice/protocol'
import type { StateCapture, StateLoader } from '@coppice/replica'
import { SHARDS } from './hash-index.js'
import { writeKey } from './operations.js'
import type { Table } from './table.js'

const HEADER = 255
const FORMAT = 1

/** A record's content put aside before it changed. */
interface Aside {
  readonly table: number
  readonly version: Index
  readonly key: Uint8Array
  readonly value: Uint8Array
}

export interface MachineMarks {
  /** Index of the newest applied operation. */
  readonly lastIndex: Index
  readonly elapsedMs: Millis
}

export class TableCapture implements StateCapture {
  readonly #tables: readonly Table[]
  readonly #marks: MachineMarks
  #header: Uint8Array | undefined
  #aside: Aside[] = []
  #table = 0
  /** Shard of `#table` being given out, and its records that still wait for their turn. */
  #shard = -1
  #pending = new Set<number>()
  #released = false

  constructor(tables: readonly Table[], marks: MachineMarks) {
    this.#tables = tables
    this.#marks = marks
    const w = new Writer()
    w.u8(HEADER)
    w.u8(FORMAT)
    w.u53(marks.lastIndex)
    w.u53(marks.elapsedMs)
    for (const table of tables) {
      w.u53(table.count)
      w.u53(table.lastDelete)
    }
    this.#header = w.take()
    tables.forEach((table, number) => {
      assert(table.onChange === undefined, 'one capture at a time')
      table.onChange = (handle, shard) => this.#beforeChange(number, handle, shard)
    })
  }

  next(maxBytes: number): Uint8Array | undefined {
    if (this.#released) return undefined
    const out = new Writer(maxBytes + 1_024)
    if (this.#header !== undefined) {
      out.raw(this.#header)
      this.#header = undefined
    }
    while (out.length < maxBytes) {
      const aside = this.#aside.pop()
      if (aside !== undefined) writeEntry(out, aside.table, aside.version, aside.key, aside.value)
      else if (!this.#giveOutPending(out, maxBytes) && !this.#nextShard()) break
    }
    if (out.length > 0) return out.view()
    this.release()
    return undefined
  }

  release(): void {
    if (this.#released) return
    this.#released = true
    for (const table of this.#tables) table.onChange = undefined
    this.#aside = []
    this.#pending.clear()
  }

  /** Gives out pending records of the current shard until the piece is full; false when there were none. */
  #giveOutPending(out: Writer, maxBytes: number): boolean {
    if (this.#pending.size === 0) return false
    const table = this.#tables[this.#table]!
    for (const handle of this.#pending) {
      this.#pending.delete(handle)
      writeEntry(out, this.#table, table.versionOf(handle), table.keyOf(handle), table.valueOf(handle))
      if (out.length >= maxBytes) break
    }
    return true
  }

  /** Moves on to a shard with records of the capture; false at the end. */
  #nextShard(): boolean {
    for (; this.#table < this.#tables.length; this.#table++, this.#shard = -1) {
      const table = this.#tables[this.#table]!
      while (++this.#shard < SHARDS) {
        for (const handle of table.handlesOfShard(this.#shard)) {
          if (table.versionOf(handle) <= this.#marks.lastIndex) this.#pending.add(handle)
        }
        if (this.#pending.size > 0) return true
      }
    }
    return false
  }

  #beforeChange(number: number, handle: number, shard: number): void {
    const table = this.#tables[number]!
    if (table.versionOf(handle) > this.#marks.lastIndex) return
    if (number < this.#table || (number === this.#table && shard < this.#shard)) return
    // In the shard being given out only what still waits for its turn is missing from the pieces.
    if (number === this.#table && shard === this.#shard && !this.#pending.delete(handle)) return
    const value = table.valueOf(handle)
    this.#aside.push({
      table: number,
      version: table.versionOf(handle),
      key: table.keyOf(handle),
      value: table.isLarge(handle) ? value : value.slice(),
    })
  }
}

function writeEntry(out: Writer, table: number, version: Index, key: Uint8Array, value: Uint8Array): void {
  out.u8(table)
  out.u53(version)
  writeKey(out, key)
  out.bytes(value)
}

export class TableLoader implements StateLoader {
  readonly #tables: readonly Table[]
  readonly #onFinish: (marks: MachineMarks) => void
  #marks: MachineMarks | undefined
  readonly #counts: number[] = []

  /** `tables` are empty and in the order in which they were captured. */
  constructor(tables: readonly Table[], onFinish: (marks: MachineMarks) => void) {
    this.#tables = tables
    this.#onFinish = onFinish
  }

  add(piece: Uint8Array): void {
    const r = new Reader(piece)
    while (r.at < r.end) {
      const number = r.u8()
      if (number === HEADER) {
        this.#readHeader(r)
        continue
      }
      const table = this.#tables[number]
      if (table === undefined) throw new DecodeError(`state names unknown table ${number}`)
      const version = r.u53()
      const keyLength = r.u8() | (r.u8() << 8)
      const keyStart = r.skip(keyLength)
      const valueLength = r.u32()
      const valueStart = r.skip(valueLength)
      const handle = table.find(piece, keyStart, keyStart + keyLength)
      if (handle !== 0) throw new DecodeError('state has the same key twice')
      table.put(0, version, piece, keyStart, keyStart + keyLength, piece, valueStart, valueStart + valueLength)
    }
  }

  finish(): void {
    if (this.#marks === undefined) throw new DecodeError('state has no header')
    this.#tables.forEach((table, number) => {
      const expected = this.#counts[number]!
      if (table.count !== expected) throw new DecodeError(`state has ${table.count} entries instead of ${expected}`)
    })
    this.#onFinish(this.#marks)
  }

  #readHeader(r: Reader): void {
    if (this.#marks !== undefined) throw new DecodeError('state has two headers')
    const format = r.u8()
    if (format !== FORMAT) throw new DecodeError(`state format ${format} is not known`)
    this.#marks = { lastIndex: r.u53(), elapsedMs: r.u53() }
    for (const table of this.#tables) {
      this.#counts.push(r.u53())
      table.setDeletedFloor(r.u53())
    }
  }
}
