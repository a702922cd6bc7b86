// The keys in byte order, for ranges: a B+tree whose leaves hold handles of records (4 bytes a key) and whose inner nodes hold short
// separators. Only new keys, deletes and moved records touch it. Each leaf knows the version of the last delete in its
// interval, so that a range's answer depends on the deletes near it and not on all of them (PROTOCOL 4, "deletes and ranges included").
import { assert, type Index } from '@coppice/protocol'
import { Inner } from './key-inner.js'
import { commonLength, compareKey, Leaf, LEAF_HANDLES } from './key-leaf.js'
import { RECORD_HEADER, type Slab } from './slab.js'

type Node = Leaf | Inner

export class KeyOrder {
  readonly #slab: Slab
  #root: Node
  /** The rightmost leaf: keys that arrive in order, from a snapshot or an import, go there without a descent. */
  #last: Leaf
  /** The first `#depth` elements: inner nodes passed by the last descent, and the child taken in each. */
  readonly #path: Inner[] = []
  readonly #taken: number[] = []
  #depth = 0

  constructor(slab: Slab) {
    this.#slab = slab
    this.#last = new Leaf()
    this.#root = this.#last
  }

  /** Adds a record whose key is not there. */
  add(handle: number): void {
    const slab = this.#slab
    const key = slab.bytesOf(handle)
    const start = slab.offsetOf(handle) + RECORD_HEADER
    const end = start + slab.keyLengthOf(handle)
    const last = this.#last
    if (
      last.count > 0 &&
      last.count < LEAF_HANDLES &&
      compareKey(slab, last.handles[last.count - 1]!, key, start, end) < 0
    ) {
      return last.insert(slab, last.count, handle)
    }
    const leaf = this.#descend(key, start, end)
    const at = leaf.lowerBound(slab, key, start, end)
    if (leaf.count < LEAF_HANDLES) return leaf.insert(slab, at, handle)
    // Keys that arrive in order leave full leaves behind; others split in the middle.
    const keep = at === leaf.count && leaf.next === undefined ? leaf.count : leaf.count >>> 1
    const right = leaf.split(slab, keep)
    if (right.next === undefined) this.#last = right
    // The separator is taken after the new record is in: it may stand on either side of the cut.
    if (at > keep || right.count === 0) right.insert(slab, at - keep, handle)
    else leaf.insert(slab, at, handle)
    this.#insertChild(this.#separator(leaf.handles[leaf.count - 1]!, right.handles[0]!), right)
  }

  /** Removes a record, deleted by entry `version`; its key must still be readable. An empty leaf is dropped. */
  remove(handle: number, version: Index): void {
    const leaf = this.#leafOf(handle)
    const at = this.#position
    leaf.remove(at)
    leaf.deleted = version
    if (leaf.count > 0 || this.#depth === 0) return
    // A neighbour takes over the interval of the dropped leaf; which one depends on the tree, so both learn of its deletes.
    for (const neighbour of [leaf.prev, leaf.next]) {
      if (neighbour !== undefined) neighbour.deleted = Math.max(neighbour.deleted, leaf.deleted)
    }
    if (leaf.prev !== undefined) leaf.prev.next = leaf.next
    if (leaf.next !== undefined) leaf.next.prev = leaf.prev
    else this.#last = leaf.prev!
    this.#dropChild()
  }

  /** The record moved to another handle; both must still hold the key. */
  move(from: number, to: number): void {
    const leaf = this.#leafOf(from)
    leaf.handles[this.#position] = to
  }

  /**
   * Visits records from the first key ≥ (or > when `after`) the given one on, until `visit` answers false. Returns the version of the
   * last delete that may have hidden something between the first and the last visited key.
   */
  scan(key: Uint8Array, start: number, end: number, after: boolean, visit: (handle: number) => boolean): Index {
    let leaf: Leaf | undefined = this.#descend(key, start, end)
    let at = leaf.lowerBound(this.#slab, key, start, end)
    let deleted = leaf.deleted
    if (after && at < leaf.count && compareKey(this.#slab, leaf.handles[at]!, key, start, end) === 0) at++
    for (;;) {
      for (; at < leaf.count; at++) if (!visit(leaf.handles[at]!)) return deleted
      leaf = leaf.next
      if (leaf === undefined) return deleted
      deleted = Math.max(deleted, leaf.deleted)
      at = 0
    }
  }

  /**
   * The same backwards, from the last key < the given one; an empty one is above all keys. Until `visit` answers false.
   */
  scanBack(key: Uint8Array, start: number, end: number, visit: (handle: number) => boolean): Index {
    const unbounded = start === end
    let leaf: Leaf | undefined = unbounded ? this.#last : this.#descend(key, start, end)
    let at = unbounded ? leaf.count : leaf.lowerBound(this.#slab, key, start, end)
    let deleted = leaf.deleted
    for (;;) {
      while (at > 0) if (!visit(leaf.handles[--at]!)) return deleted
      leaf = leaf.prev
      if (leaf === undefined) return deleted
      deleted = Math.max(deleted, leaf.deleted)
      at = leaf.count
    }
  }

  /** Number of keys ≥ (or > when `after`) the given one and < the other, whose empty form is above all keys. */
  count(b: Uint8Array, start: number, startEnd: number, after: boolean, end: number, endEnd: number): number {
    const slab = this.#slab
    let leaf: Leaf | undefined = this.#descend(b, start, startEnd)
    let at = leaf.lowerBound(slab, b, start, startEnd)
    if (after && at < leaf.count && compareKey(slab, leaf.handles[at]!, b, start, startEnd) === 0) at++
    let total = -at
    for (; leaf !== undefined; leaf = leaf.next) {
      const { count } = leaf
      // Only the leaf whose last key reaches the end is searched.
      if (end < endEnd && count > 0 && compareKey(slab, leaf.handles[count - 1]!, b, end, endEnd) >= 0) {
        return Math.max(0, total + leaf.lowerBound(slab, b, end, endEnd))
      }
      total += count
    }
    return Math.max(0, total)
  }

  /** Set by #leafOf: the place of the handle in its leaf. */
  #position = 0

  #leafOf(handle: number): Leaf {
    const slab = this.#slab
    const key = slab.bytesOf(handle)
    const start = slab.offsetOf(handle) + RECORD_HEADER
    const end = start + slab.keyLengthOf(handle)
    const leaf = this.#descend(key, start, end)
    this.#position = leaf.lowerBound(this.#slab, key, start, end)
    assert(this.#position < leaf.count && leaf.handles[this.#position] === handle, 'a record is in the key order')
    return leaf
  }

  #descend(key: Uint8Array, start: number, end: number): Leaf {
    this.#depth = 0
    let node = this.#root
    while (node instanceof Inner) {
      const at = node.childOf(key, start, end)
      this.#path[this.#depth] = node
      this.#taken[this.#depth++] = at
      node = node.children[at]!
    }
    return node
  }

  /** The shortest byte string > the left key and ≤ the right one. */
  #separator(left: number, right: number): Uint8Array {
    const slab = this.#slab
    const at = slab.offsetOf(right) + RECORD_HEADER
    return slab.bytesOf(right).slice(at, at + commonLength(slab, left, right) + 1)
  }

  /** Puts `child` behind the child taken by the last descent; splits full nodes on the way up. */
  #insertChild(separator: Uint8Array, child: Node): void {
    for (let depth = this.#depth - 1; ; depth--) {
      if (depth < 0) {
        this.#root = new Inner([this.#root, child], [separator])
        return
      }
      const split = this.#path[depth]!.insert(this.#taken[depth]!, separator, child)
      if (split === undefined) return
      child = split.node
      separator = split.separator
    }
  }

  /** Drops the child taken by the last descent, and every node that becomes empty by it. */
  #dropChild(): void {
    for (let depth = this.#depth - 1; depth >= 0; depth--) {
      const node = this.#path[depth]!
      node.remove(this.#taken[depth]!)
      if (node.children.length > 0) break
    }
    while (this.#root instanceof Inner && this.#root.children.length === 1) this.#root = this.#root.children[0]!
    assert(this.#root instanceof Leaf || this.#root.children.length > 0, 'the key order never loses its last leaf')
  }
}
