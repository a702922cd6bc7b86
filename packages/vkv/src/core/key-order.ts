// The keys in byte order, for ranges: a B+tree whose leaves hold handles of records (4 bytes a key) and whose inner nodes hold short
// separators. Only new keys, deletes and moved records touch it. Each leaf knows the version of the last delete in its
// interval, so that a range's answer depends on the deletes near it and not on all of them (PROTOCOL 4, "deletes and ranges included").
import { assert, type Index } from '@coppice/protocol'
import { RECORD_HEADER, type Slab } from './slab.js'

const LEAF_HANDLES = 128
const INNER_CHILDREN = 64

interface Leaf {
  readonly handles: Uint32Array
  count: number
  prev: Leaf | undefined
  next: Leaf | undefined
  /** No key of this leaf's interval was deleted after this version. */
  deleted: Index
}
/** children[i] holds the keys ≥ separators[i − 1] and < separators[i]. */
interface Inner {
  readonly children: Node[]
  readonly separators: Uint8Array[]
}
type Node = Leaf | Inner

function isLeaf(node: Node): node is Leaf {
  return 'handles' in node
}

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
    this.#last = newLeaf()
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
      this.#compare(last.handles[last.count - 1]!, key, start, end) < 0
    ) {
      last.handles[last.count++] = handle
      return
    }
    const leaf = this.#descend(key, start, end)
    const at = this.#lowerBound(leaf, key, start, end)
    if (leaf.count < LEAF_HANDLES) return place(leaf, at, handle)
    // Keys that arrive in order leave full leaves behind; others split in the middle.
    const right = newLeaf()
    right.deleted = leaf.deleted
    const keep = at === leaf.count && leaf.next === undefined ? leaf.count : leaf.count >>> 1
    right.handles.set(leaf.handles.subarray(keep, leaf.count))
    right.count = leaf.count - keep
    leaf.count = keep
    right.prev = leaf
    right.next = leaf.next
    if (leaf.next === undefined) this.#last = right
    else leaf.next.prev = right
    leaf.next = right
    // The separator is taken after the new record is in: it may stand on either side of the cut.
    if (at > keep || right.count === 0) place(right, at - keep, handle)
    else place(leaf, at, handle)
    this.#insertChild(this.#separator(leaf.handles[leaf.count - 1]!, right.handles[0]!), right)
  }

  /** Removes a record, deleted by entry `version`; its key must still be readable. An empty leaf is dropped. */
  remove(handle: number, version: Index): void {
    const leaf = this.#leafOf(handle)
    const at = this.#position
    leaf.handles.copyWithin(at, at + 1, leaf.count)
    leaf.count--
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
    let at = this.#lowerBound(leaf, key, start, end)
    let deleted = leaf.deleted
    if (after && at < leaf.count && this.#compare(leaf.handles[at]!, key, start, end) === 0) at++
    for (;;) {
      for (; at < leaf.count; at++) if (!visit(leaf.handles[at]!)) return deleted
      leaf = leaf.next
      if (leaf === undefined) return deleted
      deleted = Math.max(deleted, leaf.deleted)
      at = 0
    }
  }

  /** Set by #leafOf: the place of the handle in its leaf. */
  #position = 0

  #leafOf(handle: number): Leaf {
    const slab = this.#slab
    const key = slab.bytesOf(handle)
    const start = slab.offsetOf(handle) + RECORD_HEADER
    const end = start + slab.keyLengthOf(handle)
    const leaf = this.#descend(key, start, end)
    this.#position = this.#lowerBound(leaf, key, start, end)
    assert(this.#position < leaf.count && leaf.handles[this.#position] === handle, 'a record is in the key order')
    return leaf
  }

  #descend(key: Uint8Array, start: number, end: number): Leaf {
    this.#depth = 0
    let node = this.#root
    while (!isLeaf(node)) {
      let low = 0
      let high = node.separators.length
      while (low < high) {
        const middle = (low + high) >>> 1
        if (compareBytes(node.separators[middle]!, 0, node.separators[middle]!.length, key, start, end) <= 0) {
          low = middle + 1
        } else high = middle
      }
      this.#path[this.#depth] = node
      this.#taken[this.#depth++] = low
      node = node.children[low]!
    }
    return node
  }

  /** Place of the first handle in the leaf whose key is ≥ the given one. */
  #lowerBound(leaf: Leaf, key: Uint8Array, start: number, end: number): number {
    let low = 0
    let high = leaf.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#compare(leaf.handles[middle]!, key, start, end) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  #compare(handle: number, key: Uint8Array, start: number, end: number): number {
    const slab = this.#slab
    const at = slab.offsetOf(handle) + RECORD_HEADER
    return compareBytes(slab.bytesOf(handle), at, at + slab.keyLengthOf(handle), key, start, end)
  }

  /** The shortest byte string > the left key and ≤ the right one. */
  #separator(left: number, right: number): Uint8Array {
    const slab = this.#slab
    const a = slab.bytesOf(left)
    const aAt = slab.offsetOf(left) + RECORD_HEADER
    const aLength = slab.keyLengthOf(left)
    const b = slab.bytesOf(right)
    const bAt = slab.offsetOf(right) + RECORD_HEADER
    let same = 0
    while (same < aLength && a[aAt + same] === b[bAt + same]) same++
    return b.slice(bAt, bAt + same + 1)
  }

  /** Puts `child` behind the child taken by the last descent; splits full nodes on the way up. */
  #insertChild(separator: Uint8Array, child: Node): void {
    for (let depth = this.#depth - 1; ; depth--) {
      if (depth < 0) {
        this.#root = { children: [this.#root, child], separators: [separator] }
        return
      }
      const node = this.#path[depth]!
      const at = this.#taken[depth]!
      node.separators.splice(at, 0, separator)
      node.children.splice(at + 1, 0, child)
      if (node.children.length <= INNER_CHILDREN) return
      const half = node.children.length >>> 1
      child = { children: node.children.splice(half), separators: node.separators.splice(half) }
      separator = node.separators.pop()!
    }
  }

  /** Drops the child taken by the last descent, and every node that becomes empty by it. */
  #dropChild(): void {
    for (let depth = this.#depth - 1; depth >= 0; depth--) {
      const node = this.#path[depth]!
      const at = this.#taken[depth]!
      node.children.splice(at, 1)
      node.separators.splice(Math.max(0, at - 1), 1)
      if (node.children.length > 0) break
    }
    while (!isLeaf(this.#root) && this.#root.children.length === 1) this.#root = this.#root.children[0]!
    assert(isLeaf(this.#root) || this.#root.children.length > 0, 'the key order never loses its last leaf')
  }
}

function newLeaf(): Leaf {
  return { handles: new Uint32Array(LEAF_HANDLES), count: 0, prev: undefined, next: undefined, deleted: 0 }
}

function place(leaf: Leaf, at: number, handle: number): void {
  if (at < leaf.count) leaf.handles.copyWithin(at + 1, at, leaf.count)
  leaf.handles[at] = handle
  leaf.count++
}

export function compareBytes(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): number {
  const aLength = aEnd - aStart
  const bLength = bEnd - bStart
  const n = aLength < bLength ? aLength : bLength
  for (let i = 0; i < n; i++) {
    const d = a[aStart + i]! - b[bStart + i]!
    if (d !== 0) return d
  }
  return aLength - bLength
}
