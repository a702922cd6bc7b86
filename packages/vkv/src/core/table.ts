// One versioned map from bytes to bytes: records in a slab, found by hash, ordered for ranges. It knows from which version on a missing
// key is surely missing, and tells whoever walks through it of a record before that changes.
import type { BytesPort, Index, Writer } from '@coppice/protocol'
import { HashIndex, hashKey } from './hash-index.js'
import { compareBytes } from './compare-bytes.js'
import { KeyOrder } from './key-order.js'
import { copyRange, RECORD_HEADER, Slab } from './slab.js'

/** Of the hash, for the versions of deletes. */
const DELETED_BITS = 12

/** Hears of every record that is about to be changed or removed. */
export type ChangeListener = (handle: number) => void

export class Table {
  readonly #slab = new Slab()
  readonly #index = new HashIndex(this.#slab)
  readonly #order = new KeyOrder(this.#slab)
  /** By some bits of the hash: no key with these was deleted after this version. */
  readonly #deletedByHash = new Float64Array(1 << DELETED_BITS)
  /** The same for all keys, of deletes before this state was loaded: a snapshot keeps one number only. */
  #deletedFloor: Index = 0
  /** Version of the last delete. */
  lastDelete: Index = 0
  readonly #listeners: ChangeListener[] = []
  /** All of them as one. */
  #onChange: ChangeListener | undefined
  /** Hash of the key of the last `find`. */
  #hash = 0

  get count(): number {
    return this.#index.count
  }

  /** From now on `listener` hears of every record before it changes; the answer ends that. */
  listen(listener: ChangeListener): () => void {
    const listeners = this.#listeners
    const update = (): void => {
      const [only, ...others] = listeners
      this.#onChange = others.length === 0 ? only : (handle) => listeners.forEach((each) => each(handle))
    }
    listeners.push(listener)
    update()
    return () => {
      listeners.splice(listeners.indexOf(listener), 1)
      update()
    }
  }

  /** Handle of the key's record, 0: missing. Valid until the next change of the table. */
  find(key: Uint8Array, start: number, end: number): number {
    this.#hash = hashKey(key, start, end)
    return this.#index.find(this.#hash, key, start, end)
  }

  /**
   * Version of "the key of the last find is missing": no less than that of the delete that removed it. It is shared with
   * 1 of 4,096 keys, so a read of a missing key seldom waits for somebody else's delete.
   */
  missingVersion(): Index {
    return Math.max(this.#deletedFloor, this.#deletedByHash[this.#hash >>> (32 - DELETED_BITS)]!)
  }

  /** Sets the key of the last find, whose answer was `handle`. */
  put(
    handle: number,
    version: Index,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): void {
    if (handle === 0) {
      const added = this.#slab.add(version, key, keyStart, keyEnd, value, valueStart, valueEnd)
      this.#index.add(this.#hash, added)
      this.#order.add(added)
      return
    }
    this.#onChange?.(handle)
    if (this.#slab.replace(handle, version, value, valueStart, valueEnd)) return
    const moved = this.#slab.add(version, key, keyStart, keyEnd, value, valueStart, valueEnd)
    this.#index.move(this.#hash, handle, moved)
    this.#order.move(handle, moved)
    this.#slab.free(handle)
  }

  /** Removes the key of the last find, whose answer was `handle`, not 0. */
  remove(handle: number, version: Index): void {
    this.#onChange?.(handle)
    this.#order.remove(handle, version)
    this.#index.remove(this.#hash, handle)
    this.#slab.free(handle)
    this.#deletedByHash[this.#hash >>> (32 - DELETED_BITS)] = version
    this.lastDelete = version
  }

  versionOf(handle: number): Index {
    return this.#slab.versionOf(handle)
  }

  valueLengthOf(handle: number): number {
    return this.#slab.valueLengthOf(handle)
  }

  keyLengthOf(handle: number): number {
    return this.#slab.keyLengthOf(handle)
  }

  writeKey(handle: number, out: Writer): void {
    const at = this.#slab.offsetOf(handle) + RECORD_HEADER
    out.rawRange(this.#slab.bytesOf(handle), at, at + this.#slab.keyLengthOf(handle))
  }

  writeValue(handle: number, out: Writer): void {
    const large = this.#slab.largeOf(handle)
    if (large !== undefined) return out.raw(large)
    const n = this.#slab.valueLengthOf(handle)
    const from = this.valueOffset(handle)
    const to = out.grow(n)
    copyRange(this.#slab.bytesOf(handle), from, from + n, out.buffer, to)
  }

  /** The value as a view that the next change of the table may overwrite; a large one is never overwritten. */
  valueOf(handle: number): Uint8Array {
    const large = this.#slab.largeOf(handle)
    if (large !== undefined) return large
    const at = this.valueOffset(handle)
    return this.#slab.bytesOf(handle).subarray(at, at + this.#slab.valueLengthOf(handle))
  }

  keyOf(handle: number): Uint8Array {
    const at = this.#slab.offsetOf(handle) + RECORD_HEADER
    return this.#slab.bytesOf(handle).slice(at, at + this.#slab.keyLengthOf(handle))
  }

  /** Page and place of a small value, for readers of fixed layouts. */
  pageOf(handle: number): Uint8Array {
    return this.#slab.bytesOf(handle)
  }

  valueOffset(handle: number): number {
    return this.#slab.offsetOf(handle) + RECORD_HEADER + this.#slab.keyLengthOf(handle)
  }

  valueEquals(handle: number, other: Uint8Array, start: number, end: number): boolean {
    const length = end - start
    if (this.#slab.valueLengthOf(handle) !== length) return false
    const large = this.#slab.largeOf(handle)
    const bytes = large ?? this.#slab.bytesOf(handle)
    const at = (large === undefined ? this.valueOffset(handle) : 0) - start
    for (let i = start; i < end; i++) if (bytes[at + i] !== other[i]) return false
    return true
  }

  /** Visits records in key order from the first key ≥ (or > when `after`) the given one; returns what hides missing ones. */
  scan(key: Uint8Array, start: number, end: number, after: boolean, visit: (handle: number) => boolean): Index {
    return Math.max(this.#deletedFloor, this.#order.scan(key, start, end, after, visit))
  }

  /** The same backwards, from the last key < the given one (empty: from the last of all). */
  scanBack(key: Uint8Array, start: number, end: number, visit: (handle: number) => boolean): Index {
    return Math.max(this.#deletedFloor, this.#order.scanBack(key, start, end, visit))
  }

  /** Number of keys from `start` on, or behind it, and before `end` (empty: all). */
  countKeys(b: Uint8Array, start: number, startEnd: number, after: boolean, end: number, endEnd: number): number {
    return this.#order.count(b, start, startEnd, after, end, endEnd)
  }

  /** Order of the record's key against bytes [start, end) of another: below zero, zero, above zero. */
  compareKey(handle: number, key: Uint8Array, start = 0, end = key.length): number {
    const at = this.#slab.offsetOf(handle) + RECORD_HEADER
    return compareBytes(this.#slab.bytesOf(handle), at, at + this.#slab.keyLengthOf(handle), key, start, end)
  }

  /** Whether the record's key begins with the given bytes. */
  hasPrefix(handle: number, prefix: Uint8Array, start: number, end: number): boolean {
    if (this.#slab.keyLengthOf(handle) < end - start) return false
    const bytes = this.#slab.bytesOf(handle)
    const at = this.#slab.offsetOf(handle) + RECORD_HEADER - start
    for (let i = start; i < end; i++) if (bytes[at + i] !== prefix[i]) return false
    return true
  }

  /** After a load: deletes before it are known by their last version only. */
  setDeletedFloor(version: Index): void {
    this.#deletedFloor = version
    this.lastDelete = version
  }

  /** CRC over key and value. */
  crcOf(handle: number, bytes: BytesPort): number {
    const large = this.#slab.largeOf(handle)
    const at = this.#slab.offsetOf(handle) + RECORD_HEADER
    const valueLength = this.#slab.valueLengthOf(handle)
    const inSlot = this.#slab.keyLengthOf(handle) + (large === undefined ? valueLength : 0)
    const crc = bytes.crc32(this.#slab.bytesOf(handle), at, at + inSlot)
    return large === undefined ? crc : Math.imul(crc, 31) ^ bytes.crc32(large, 0, valueLength)
  }
}
