// Key bytes -> handle: open addressing in 256 shards, so that growing one never takes more than a few milliseconds (a V8 Map
// stalls 993 ms at 8.4 M entries and holds at most 16.7 M; PROTOCOL 7). Each cell keeps the hash, so growth and removal touch no record.
// Few shards, so that what leads to a cell stays in the nearest caches: a look-up costs one miss for the cell and one for the record.
import type { Slab } from './slab.js'

const SHARD_BITS = 8
const SHARDS = 1 << SHARD_BITS
const FIRST_CELLS = 4
/** A table is doubled when more than 3/4 of its cells are taken. */
const LOAD_NUMERATOR = 3
const LOAD_DENOMINATOR = 4

/** Hash of a byte range: FNV-1a, then the finish of MurmurHash3. Its upper bits choose the shard, its lower ones the cell. */
export function hashKey(buffer: Uint8Array, start: number, end: number): number {
  let h = 0x811c9dc5
  for (let i = start; i < end; i++) h = Math.imul(h ^ buffer[i]!, 0x01000193)
  h ^= h >>> 16
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

const NO_CELLS = new Uint32Array(FIRST_CELLS * 2)

export class HashIndex {
  readonly #slab: Slab
  /** By shard: pairs (hash, handle); handle 0: free cell. Lengths are powers of two. */
  readonly #cells: Uint32Array[] = new Array<Uint32Array>(SHARDS).fill(NO_CELLS)
  readonly #counts = new Uint32Array(SHARDS)
  count = 0

  constructor(slab: Slab) {
    this.#slab = slab
  }

  /** Handle of the record with this key; 0 when there is none. */
  find(hash: number, key: Uint8Array, start: number, end: number): number {
    const cells = this.#cells[hash >>> (32 - SHARD_BITS)]!
    const mask = cells.length - 1
    for (let at = (hash << 1) & mask; ; at = (at + 2) & mask) {
      const handle = cells[at + 1]!
      if (handle === 0) return 0
      if (cells[at] === hash && this.#slab.hasKey(handle, key, start, end)) return handle
    }
  }

  /** Adds a record whose key is not there. */
  add(hash: number, handle: number): void {
    const shard = hash >>> (32 - SHARD_BITS)
    let cells = this.#cells[shard]!
    const count = this.#counts[shard]! + 1
    if (cells === NO_CELLS) cells = this.#cells[shard] = new Uint32Array(FIRST_CELLS * 2)
    else if (count * 2 * LOAD_DENOMINATOR > cells.length * LOAD_NUMERATOR) cells = this.#cells[shard] = grown(cells)
    insert(cells, hash, handle)
    this.#counts[shard] = count
    this.count++
  }

  /** The record moved to another handle. */
  move(hash: number, from: number, to: number): void {
    const cells = this.#cells[hash >>> (32 - SHARD_BITS)]!
    cells[cellOf(cells, hash, from) + 1] = to
  }

  /** Removes a record; later cells of its chain move up, so there are no tombstones to clean. */
  remove(hash: number, handle: number): void {
    const shard = hash >>> (32 - SHARD_BITS)
    const cells = this.#cells[shard]!
    const mask = cells.length - 1
    let hole = cellOf(cells, hash, handle)
    for (let at = (hole + 2) & mask; cells[at + 1] !== 0; at = (at + 2) & mask) {
      const home = (cells[at]! << 1) & mask
      // The cell may move up to the hole only if its home does not lie (cyclically) behind the hole.
      if (((at - home) & mask) < ((at - hole) & mask)) continue
      cells[hole] = cells[at]!
      cells[hole + 1] = cells[at + 1]!
      hole = at
    }
    cells[hole + 1] = 0
    this.#counts[shard]!--
    this.count--
  }
}

function cellOf(cells: Uint32Array, hash: number, handle: number): number {
  const mask = cells.length - 1
  let at = (hash << 1) & mask
  while (cells[at + 1] !== handle) at = (at + 2) & mask
  return at
}

function insert(cells: Uint32Array, hash: number, handle: number): void {
  const mask = cells.length - 1
  let at = (hash << 1) & mask
  while (cells[at + 1] !== 0) at = (at + 2) & mask
  cells[at] = hash
  cells[at + 1] = handle
}

function grown(old: Uint32Array): Uint32Array {
  const bigger = new Uint32Array(old.length * 2)
  for (let at = 0; at < old.length; at += 2) if (old[at + 1] !== 0) insert(bigger, old[at]!, old[at + 1]!)
  return bigger
}
