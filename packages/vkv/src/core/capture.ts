// A consistent image of the tables in pieces, and its loader (PROTOCOL 5, 7: getState is chunked and consistent while apply goes on).
//
// The capture walks through the records (table-walk.ts); what would be changed before its turn is copied aside first. So nothing is copied
// at the beginning, and memory grows only by what is overwritten before its turn.
//
//   piece:  (entry | header | u8 254) …      the header comes first; 254 is nothing, in a piece that would be empty
//   entry:  u8 table · u53 version · u16 n · key · u32 n · value
//   header: u8 255 · u8 format · u53 lastIndex · u53 elapsed · u53 bytes of idempotency keys · tables × (u53 count · u53 lastDelete)
import { DecodeError, Reader, Writer, type Index, type Millis } from '@coppice/protocol'
import type { StateCapture, StateLoader } from '@coppice/replica'
import { Asides } from './asides.js'
import type { Table } from './table.js'
import { TableWalk } from './table-walk.js'

const HEADER = 255
const NOTHING = 254
const FORMAT = 2

export interface MachineMarks {
  /** Index of the newest applied operation. */
  readonly lastIndex: Index
  readonly elapsedMs: Millis
  /** Bytes of idempotency keys and their answers. */
  readonly onceBytes: number
}

export class TableCapture implements StateCapture {
  readonly #walk: TableWalk
  #header: Uint8Array | undefined
  /** Records as they were before they changed. */
  #asides = new Asides()
  /** The piece that was given out last. */
  readonly #out = new Writer(0)
  #released = false

  constructor(tables: readonly Table[], marks: MachineMarks) {
    const w = new Writer()
    w.u8(HEADER)
    w.u8(FORMAT)
    w.u53(marks.lastIndex)
    w.u53(marks.elapsedMs)
    w.u53(marks.onceBytes)
    for (const table of tables) {
      w.u53(table.count)
      w.u53(table.lastDelete)
    }
    this.#header = w.take()
    this.#walk = new TableWalk(tables, marks.lastIndex, (number, table, handle) =>
      writeEntry(this.#asides.out, number, table, handle),
    )
  }

  next(maxBytes: number): Uint8Array | undefined {
    if (this.#released) return undefined
    const out = this.#out
    out.reset()
    if (this.#header !== undefined) {
      out.raw(this.#header)
      this.#header = undefined
    }
    this.#asides.giveTo(out, maxBytes)
    if (out.length < maxBytes) {
      this.#walk.go(
        () => out.length >= maxBytes,
        (number, table, handle) => writeEntry(out, number, table, handle),
      )
    }
    if (out.length > 0) return out.view()
    if (!this.#walk.isOver) return NOTHING_PIECE
    this.release()
    return undefined
  }

  release(): void {
    if (this.#released) return
    this.#released = true
    this.#walk.release()
    this.#asides = new Asides()
  }
}

const NOTHING_PIECE = new Uint8Array([NOTHING])

function writeEntry(out: Writer, number: number, table: Table, handle: number): void {
  const keyLength = table.keyLengthOf(handle)
  out.u8(number)
  out.u53(table.versionOf(handle))
  out.u8(keyLength)
  out.u8(keyLength >>> 8)
  table.writeKey(handle, out)
  out.u32(table.valueLengthOf(handle))
  table.writeValue(handle, out)
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
      if (number === NOTHING) continue
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
    this.#marks = { lastIndex: r.u53(), elapsedMs: r.u53(), onceBytes: r.u53() }
    for (const table of this.#tables) {
      this.#counts.push(r.u53())
      table.setDeletedFloor(r.u53())
    }
  }
}
