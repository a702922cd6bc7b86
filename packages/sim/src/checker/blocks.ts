// The polynomial check for histories in which it is known who made what each operation found (Gibbons and Korach, "Testing shared
// memories", 1997). A mutation, what found its value and the mutation that built upon it hang together without a gap: a block. Block A must
// come before block B when something of A was answered before something of B was invoked. Such a relation has a cycle only if
// two blocks precede each other, which two sorted lists show.
import { APPEND, INITIAL, NONE, READ, WRITE } from './encode.js'
import type { Encoded } from './encode.js'
import type { Sources } from './sources.js'

/** What in a block was answered first and what was invoked last; INITIAL for the state before the first write. */
export interface Block {
  /** The mutation it begins with, or INITIAL. */
  readonly root: number
  firstReturn: number
  firstReturned: number
  lastCall: number
  lastCalled: number
}

/** The operations that follow each one: those that found what it made, and the mutation that built upon it. */
export interface Following {
  readonly readers: ReadonlyMap<number, readonly number[]>
  readonly builder: ReadonlyMap<number, number>
}

export type BlockResult =
  { readonly blocks: readonly Block[]; readonly following: Following } | { readonly offending: readonly number[] }

/** Failed comparisons are not looked at: with them, blocks in order only mean "not refuted". */
export function checkBlocks(h: Encoded, sources: Sources): BlockResult {
  const readers = new Map<number, number[]>()
  const builder = new Map<number, number>()
  for (let op = 0; op < h.n; op++) {
    const source = sources.of[op]!
    if (sources.required[op] === 0 || source === NONE) continue
    if (h.kind[op] === READ) pushTo(readers, source, op)
    else if (builder.has(source)) return { offending: withSources(sources, [builder.get(source)!, op]) }
    else builder.set(source, op)
  }
  const following = { readers, builder }
  const blocks: Block[] = []
  const placed = new Uint8Array(h.n)
  const roots = [INITIAL]
  for (let op = 0; op < h.n; op++) if (sources.required[op] === 1 && isRoot(h, sources, op)) roots.push(op)
  for (const root of roots) {
    const block: Block = { root, firstReturn: Infinity, firstReturned: -1, lastCall: -Infinity, lastCalled: -1 }
    if (root === INITIAL) block.firstReturn = block.lastCall = -1
    blocks.push(block)
    const offending = fill(h, following, block, placed)
    if (offending !== undefined) return { offending: withSources(sources, offending) }
  }
  // Mutations that only build upon each other: no first one can have found its value.
  for (const op of builder.values()) if (placed[op] === 0) return { offending: withSources(sources, [op]) }
  const pair = conflict(blocks)
  if (pair === undefined) return { blocks, following }
  return {
    offending: withSources(
      sources,
      pair.flatMap(({ root, firstReturned, lastCalled }) => [root, firstReturned, lastCalled]),
    ),
  }
}

function isRoot(h: Encoded, sources: Sources, op: number): boolean {
  return h.kind[op] === WRITE || (h.kind[op] === APPEND && sources.of[op] === NONE)
}

/** The operations of a block in order: each mutation, and behind it what found its value. */
export function* membersOf({ root }: Block, { readers, builder }: Following): Generator<readonly number[]> {
  for (let op: number | undefined = root; op !== undefined; op = builder.get(op)) {
    if (op !== INITIAL) yield [op]
    yield readers.get(op) ?? []
  }
}

// Puts all operations into a block; offending is what was answered before something that comes earlier in it was invoked.
function fill(h: Encoded, following: Following, block: Block, placed: Uint8Array): readonly number[] | undefined {
  for (const group of membersOf(block, following)) {
    for (const op of group) if (h.returns[op]! < block.lastCall) return [op, block.lastCalled]
    for (const op of group) {
      placed[op] = 1
      if (h.returns[op]! < block.firstReturn) {
        block.firstReturn = h.returns[op]!
        block.firstReturned = op
      }
      if (h.calls[op]! > block.lastCall) {
        block.lastCall = h.calls[op]!
        block.lastCalled = op
      }
    }
  }
  return undefined
}

/** Blocks that something answered before something else in them was invoked: they fill that time, their zone. */
export function forwardBlocks(blocks: readonly Block[]): Block[] {
  return blocks.filter((x) => x.firstReturn < x.lastCall).sort((x, y) => x.firstReturn - y.firstReturn)
}

/** The last of these blocks whose zone begins before `line`. */
export function zoneBefore(forward: readonly Block[], line: number): Block | undefined {
  let low = 0
  let high = forward.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (forward[middle]!.firstReturn < line) low = middle + 1
    else high = middle
  }
  return forward[low - 1]
}

// Two blocks each of which must precede the other: two zones that overlap, or a block all of which must lie inside another's zone.
function conflict(blocks: readonly Block[]): readonly [Block, Block] | undefined {
  const forward = forwardBlocks(blocks)
  for (let i = 1; i < forward.length; i++)
    if (forward[i]!.firstReturn < forward[i - 1]!.lastCall) return [forward[i - 1]!, forward[i]!]
  for (const inner of blocks) {
    if (inner.firstReturn < inner.lastCall) continue
    const outer = zoneBefore(forward, inner.lastCall)
    if (outer !== undefined && inner.firstReturn < outer.lastCall) return [outer, inner]
  }
  return undefined
}

// The operations, their sources, the sources of those and so on.
function withSources(sources: Sources, ops: readonly number[]): number[] {
  const all = new Set<number>(ops.filter((op) => op >= 0))
  for (const op of all) if (sources.of[op]! >= 0) all.add(sources.of[op]!)
  return [...all]
}

function pushTo(lists: Map<number, number[]>, key: number, op: number): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [op])
  else list.push(op)
}
