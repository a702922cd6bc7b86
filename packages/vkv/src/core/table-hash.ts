// The hash of the tables at one moment (I9), taken in slices while apply goes on: a sum over their records, so that their order does not matter,
// nor whether one was hashed in its turn or just before it changed.
import type { BytesPort, Index } from '@coppice/protocol'
import type { StateHashing } from '@coppice/replica'
import type { Table } from './table.js'
import { TableWalk } from './table-walk.js'

/** Bytes of keys and values hashed in one slice: it takes about a millisecond. */
const SLICE_BYTES = 512 * 1024

export class TableHash implements StateHashing {
  readonly #walk: TableWalk
  readonly #bytes: BytesPort
  readonly #counts: string
  readonly #sums = new Uint32Array(2)
  readonly #maxSliceBytes: number
  #sliceBytes = 0

  /** Of the tables as they are now, after entry `lastIndex`. */
  constructor(tables: readonly Table[], lastIndex: Index, bytes: BytesPort, maxSliceBytes = SLICE_BYTES) {
    this.#bytes = bytes
    this.#maxSliceBytes = maxSliceBytes
    this.#counts = tables.map((table) => table.count).join('-')
    this.#walk = new TableWalk(tables, lastIndex, this.#add)
  }

  next(): boolean {
    this.#sliceBytes = 0
    this.#walk.go(this.#isFull, this.#add)
    if (!this.#walk.isOver) return true
    this.release()
    return false
  }

  get value(): string {
    const hex = (n: number): string => n.toString(16).padStart(8, '0')
    return `${this.#counts}-${hex(this.#sums[0]!)}${hex(this.#sums[1]!)}`
  }

  release(): void {
    this.#walk.release()
  }

  readonly #isFull = (): boolean => this.#sliceBytes >= this.#maxSliceBytes

  // The table's number tells equal records of different tables apart.
  readonly #add = (number: number, table: Table, handle: number): void => {
    this.#sliceBytes += table.keyLengthOf(handle) + table.valueLengthOf(handle)
    const sums = this.#sums
    const crc = table.crcOf(handle, this.#bytes)
    const version = table.versionOf(handle)
    const salted = mix(mix(crc ^ (number + 1)) ^ table.keyLengthOf(handle))
    const hash = mix(mix(salted ^ (version >>> 0)) ^ Math.floor(version / 0x1_0000_0000))
    sums[0] = sums[0]! + hash
    sums[1] = sums[1]! + mix(hash ^ crc ^ 0x9e37_79b9)
  }
}

/** The finish of MurmurHash3: every input bit reaches every output bit. */
function mix(h: number): number {
  h ^= h >>> 16
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
