// A walk through the records that tables had at one moment, taken in parts while apply goes on (PROTOCOL 5). It goes through the keys in their
// order, which a loader takes fastest. A record behind the walk that still has its old version when it is about to change is put aside
// first; whatever has a newer version than that moment's is not part of it.
import { EMPTY_BYTES, type Index } from '@coppice/protocol'
import type { Table } from './table.js'

/** Records one call passes at the most: those written since the walk began are passed over. */
const MAX_VISITS = 1_024

export type Visit = (number: number, table: Table, handle: number) => void

export class TableWalk {
  readonly #tables: readonly Table[]
  readonly #lastIndex: Index
  readonly #aside: Visit
  readonly #stopListening: (() => void)[]
  #table = 0
  /** All keys of `#table` up to this one were visited; undefined: none yet. */
  #passed: Uint8Array | undefined

  /** Of the tables as they are now, after entry `lastIndex`. `aside` gets what would be changed before it is visited, once each. */
  constructor(tables: readonly Table[], lastIndex: Index, aside: Visit) {
    this.#tables = tables
    this.#lastIndex = lastIndex
    this.#aside = aside
    this.#stopListening = tables.map((table, number) => table.listen((handle) => this.#beforeChange(number, handle)))
  }

  /** All was visited, or put aside. */
  get isOver(): boolean {
    return this.#table >= this.#tables.length
  }

  /** Visits records in key order until `isFull` or enough were passed. */
  go(isFull: () => boolean, visit: Visit): void {
    let visits = 0
    for (; this.#table < this.#tables.length; this.#table++, this.#passed = undefined) {
      const table = this.#tables[this.#table]!
      let full = false
      let last = 0
      table.scan(this.#passed ?? EMPTY_BYTES, 0, this.#passed?.length ?? 0, this.#passed !== undefined, (handle) => {
        full = visits >= MAX_VISITS || isFull()
        if (full) return false
        visits++
        last = handle
        if (table.versionOf(handle) <= this.#lastIndex) visit(this.#table, table, handle)
        return true
      })
      if (last !== 0) this.#passed = table.keyOf(last)
      if (full) return
    }
  }

  /** Nothing more is put aside; idempotent. */
  release(): void {
    for (const stop of this.#stopListening.splice(0)) stop()
  }

  #beforeChange(number: number, handle: number): void {
    const table = this.#tables[number]!
    if (table.versionOf(handle) > this.#lastIndex || number < this.#table) return
    if (number === this.#table && this.#passed !== undefined && table.compareKey(handle, this.#passed) <= 0) return
    this.#aside(number, table, handle)
  }
}
