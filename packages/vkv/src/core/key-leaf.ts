// One leaf of the key order: up to 128 handles in the order of their keys, each beside the first four bytes that its key does not share
// with the whole leaf. A search looks at those and touches a record only to settle a tie: in a large store every record is a
// cache miss.
import type { Index } from '@coppice/protocol'
import { compareBytes } from './compare-bytes.js'
import { RECORD_HEADER, type Slab } from './slab.js'

export const LEAF_HANDLES = 128

export class Leaf {
  readonly handles = new Uint32Array(LEAF_HANDLES)
  count = 0
  prev: Leaf | undefined = undefined
  next: Leaf | undefined = undefined
  /** No key of this leaf's interval was deleted after this version. */
  deleted: Index = 0
  /** heads[i]: bytes [skip, skip + 4) of the key of handles[i], as a big-endian number; missing ones are zero. */
  readonly #heads = new Uint32Array(LEAF_HANDLES)
  /** All keys of the leaf have this many first bytes in common (they may have more). */
  #skip = 0

  /** Place of the first handle whose key is ≥ the given one. */
  lowerBound(slab: Slab, key: Uint8Array, start: number, end: number): number {
    const { count } = this
    if (count === 0) return 0
    const side = this.#comparePrefix(slab, key, start, end)
    if (side !== 0) return side < 0 ? 0 : count
    const heads = this.#heads
    const head = headOf(key, start + this.#skip, end)
    let low = 0
    let high = count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (heads[middle]! < head) low = middle + 1
      else high = middle
    }
    // Among equal heads the keys themselves decide.
    high = low
    while (high < count && heads[high] === head) high++
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compareKey(slab, this.handles[middle]!, key, start, end) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Puts a record at its place; there must be room. */
  insert(slab: Slab, at: number, handle: number): void {
    const { handles, count } = this
    const heads = this.#heads
    if (at < count) {
      handles.copyWithin(at + 1, at, count)
      heads.copyWithin(at + 1, at, count)
    }
    handles[at] = handle
    this.count = count + 1
    // Only a new first or last key can have less in common with the others.
    if (at > 0 && at < count) heads[at] = recordHead(slab, handle, this.#skip)
    else this.#fit(slab, at, count === 0)
  }

  remove(at: number): void {
    this.handles.copyWithin(at, at + 1, this.count)
    this.#heads.copyWithin(at, at + 1, this.count)
    this.count--
  }

  /** Moves the handles from `keep` on to a new leaf behind this one. */
  split(slab: Slab, keep: number): Leaf {
    const right = new Leaf()
    right.deleted = this.deleted
    right.handles.set(this.handles.subarray(keep, this.count))
    right.count = this.count - keep
    this.count = keep
    right.prev = this
    right.next = this.next
    if (this.next !== undefined) this.next.prev = right
    this.next = right
    this.#rehead(slab)
    right.#rehead(slab)
    return right
  }

  /** After the record at `at`, first or last, was put in: makes `skip` hold again. */
  #fit(slab: Slab, at: number, first: boolean): void {
    const common = commonLength(slab, this.handles[0]!, this.handles[this.count - 1]!)
    if (first || common < this.#skip) this.#rehead(slab)
    else this.#heads[at] = recordHead(slab, this.handles[at]!, this.#skip)
  }

  #rehead(slab: Slab): void {
    const { handles, count } = this
    if (count === 0) return
    this.#skip = commonLength(slab, handles[0]!, handles[count - 1]!)
    for (let i = 0; i < count; i++) this.#heads[i] = recordHead(slab, handles[i]!, this.#skip)
  }

  /** Where a key stands that does not begin as all keys of the leaf do: below (-1) or above (1) them; 0: it does. */
  #comparePrefix(slab: Slab, key: Uint8Array, start: number, end: number): number {
    const bytes = slab.bytesOf(this.handles[0]!)
    const at = slab.offsetOf(this.handles[0]!) + RECORD_HEADER
    for (let i = 0; i < this.#skip; i++) {
      if (start + i >= end) return -1
      const d = key[start + i]! - bytes[at + i]!
      if (d !== 0) return d < 0 ? -1 : 1
    }
    return 0
  }
}

/** Order of the record's key against another. */
export function compareKey(slab: Slab, handle: number, key: Uint8Array, start: number, end: number): number {
  const at = slab.offsetOf(handle) + RECORD_HEADER
  return compareBytes(slab.bytesOf(handle), at, at + slab.keyLengthOf(handle), key, start, end)
}

/** Number of first bytes that two records' keys have in common. */
export function commonLength(slab: Slab, left: number, right: number): number {
  const a = slab.bytesOf(left)
  const b = slab.bytesOf(right)
  const aAt = slab.offsetOf(left) + RECORD_HEADER
  const bAt = slab.offsetOf(right) + RECORD_HEADER
  const n = Math.min(slab.keyLengthOf(left), slab.keyLengthOf(right))
  let same = 0
  while (same < n && a[aAt + same] === b[bAt + same]) same++
  return same
}

function recordHead(slab: Slab, handle: number, skip: number): number {
  const at = slab.offsetOf(handle) + RECORD_HEADER
  return headOf(slab.bytesOf(handle), at + skip, at + slab.keyLengthOf(handle))
}

/** Bytes [at, at + 4) as a big-endian number; what lies at or behind `end` is zero. */
export function headOf(bytes: Uint8Array, at: number, end: number): number {
  if (at + 4 <= end) {
    return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  }
  let head = 0
  for (let i = 0; i < 4; i++) head = (head << 8) | (at + i < end ? bytes[at + i]! : 0)
  return head >>> 0
}
