// The polynomial check for histories in which every value that is asked for has one writer (Gibbons and Korach, "Testing shared
// memories", 1997). The writer of a value and the reads of it form a cluster; clusters joined by comparisons form a block, which any
// linearization holds without a gap. Block A must come before block B when something of A was answered before something of B was
// invoked. Such a relation has a cycle only if two blocks precede each other, which two sorted lists show.
import { ABSENT, CAS, DEAD, READ, WRITE, makes } from './encode.js'
import type { Encoded } from './encode.js'

export type ClusterResult = 'ok' | 'not applicable' | { readonly offending: readonly number[] }

/** One block: what in it was answered first and what was invoked last; -1 is the initial state. */
interface Block {
  firstReturn: number
  firstReturned: number
  lastCall: number
  lastCalled: number
}

/**
 * Decides when values are unique and nothing appends; comparisons that failed are not looked at, so with them `ok` only means
 * "not refuted".
 */
export function checkClusters(h: Encoded): ClusterResult {
  if (h.states.appends) return 'not applicable'
  const writerOf = new Int32Array(h.states.size).fill(-1)
  for (let op = 0; op < h.n; op++) {
    const made = makes(h, op)
    if (made < 0 || made === DEAD) continue
    if (writerOf[made]! >= 0 || made === ABSENT) return 'not applicable'
    writerOf[made] = op
  }
  const required = requiredOps(h, writerOf)
  const readers = new Map<number, number[]>()
  const consumer = new Int32Array(h.states.size).fill(-1)
  for (let op = 0; op < h.n; op++) {
    const wants = h.a[op]!
    if (required[op] === 0 || (h.kind[op] !== READ && h.kind[op] !== CAS)) continue
    if (wants !== ABSENT && writerOf[wants] === -1) return { offending: [op] }
    if (h.kind[op] === READ) pushTo(readers, wants, op)
    else if (consumer[wants]! >= 0) return { offending: withWriter(h, writerOf, [consumer[wants]!, op]) }
    else consumer[wants] = op
  }
  return orderBlocks(h, required, writerOf, readers, consumer)
}

// What must have taken effect: everything answered, and the open writers of what those ask for.
function requiredOps(h: Encoded, writerOf: Int32Array): Uint8Array {
  const required = new Uint8Array(h.n)
  const queue: number[] = []
  const need = (op: number): void => {
    if (op < 0 || required[op] === 1) return
    required[op] = 1
    queue.push(op)
  }
  for (let op = 0; op < h.n; op++) if (h.returns[op] !== Infinity) need(op)
  for (let op = queue.pop(); op !== undefined; op = queue.pop())
    if (h.kind[op] === READ || h.kind[op] === CAS) need(writerOf[h.a[op]!]!)
  return required
}

function orderBlocks(
  h: Encoded,
  required: Uint8Array,
  writerOf: Int32Array,
  readers: Map<number, number[]>,
  consumer: Int32Array,
): ClusterResult {
  const blocks: Block[] = []
  const placed = new Uint8Array(h.n)
  const build = (root: number): readonly number[] | undefined => {
    const block: Block = { firstReturn: Infinity, firstReturned: -1, lastCall: -Infinity, lastCalled: -1 }
    blocks.push(block)
    if (root < 0) block.firstReturn = block.lastCall = -1
    for (let op = root; ;) {
      const stale = op < 0 ? undefined : place(h, block, [op])
      if (stale !== undefined) return stale
      if (op >= 0) placed[op] = 1
      const state = op < 0 ? ABSENT : makes(h, op)
      if (state === DEAD) return undefined
      const late = place(h, block, readers.get(state) ?? [])
      if (late !== undefined) return late
      op = consumer[state]!
      if (op < 0) return undefined
    }
  }
  const roots = [-1]
  for (let op = 0; op < h.n; op++) if (required[op] === 1 && h.kind[op] === WRITE) roots.push(op)
  for (const root of roots) {
    const offending = build(root)
    if (offending !== undefined) return { offending: withWriter(h, writerOf, offending) }
  }
  // Comparisons that only feed each other: no first one can have found its value.
  const unplaced = consumer.find((op) => op >= 0 && placed[op] === 0)
  if (unplaced !== undefined) return { offending: withWriter(h, writerOf, [unplaced]) }
  const pair = conflict(blocks)
  return pair === undefined ? 'ok' : { offending: offendingOf(h, writerOf, pair) }
}

// Adds the next group of a block. Offending is what was answered before something that comes earlier in the block was invoked.
function place(h: Encoded, block: Block, group: readonly number[]): readonly number[] | undefined {
  for (const op of group) if (h.returns[op]! < block.lastCall) return [op, block.lastCalled]
  for (const op of group) {
    if (h.returns[op]! < block.firstReturn) {
      block.firstReturn = h.returns[op]!
      block.firstReturned = op
    }
    if (h.calls[op]! > block.lastCall) {
      block.lastCall = h.calls[op]!
      block.lastCalled = op
    }
  }
  return undefined
}

// Two blocks each of which must precede the other: two forward zones (first return … last call) that overlap, or a backward zone
// inside a forward one.
function conflict(blocks: readonly Block[]): readonly [Block, Block] | undefined {
  const forward = blocks.filter((x) => x.firstReturn < x.lastCall).sort((x, y) => x.firstReturn - y.firstReturn)
  for (let i = 1; i < forward.length; i++)
    if (forward[i]!.firstReturn < forward[i - 1]!.lastCall) return [forward[i - 1]!, forward[i]!]
  for (const inner of blocks) {
    if (inner.firstReturn < inner.lastCall) continue
    // The last forward zone that begins before the backward zone does.
    let low = 0
    let high = forward.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (forward[middle]!.firstReturn < inner.lastCall) low = middle + 1
      else high = middle
    }
    const outer = forward[low - 1]
    if (outer !== undefined && inner.firstReturn < outer.lastCall) return [outer, inner]
  }
  return undefined
}

function offendingOf(h: Encoded, writerOf: Int32Array, pair: readonly [Block, Block]): number[] {
  const ops: number[] = []
  for (const block of pair) {
    ops.push(block.firstReturned, block.lastCalled)
  }
  return withWriter(h, writerOf, ops)
}

// The operations, the writers of what they ask for, what those ask for and so on, in order of invocation.
function withWriter(h: Encoded, writerOf: Int32Array, ops: readonly number[]): number[] {
  const all = new Set<number>(ops.filter((op) => op >= 0))
  for (const op of all) {
    const writer = h.kind[op] === WRITE ? -1 : writerOf[h.a[op]!]!
    if (writer >= 0) all.add(writer)
  }
  return [...all].sort((x, y) => h.calls[x]! - h.calls[y]!)
}

function pushTo(lists: Map<number, number[]>, key: number, op: number): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [op])
  else list.push(op)
}
