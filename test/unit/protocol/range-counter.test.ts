// RangeCounter against a set of numbers that is kept in full.
import { RangeCounter } from '@coppice/protocol'
import type { Range } from '@coppice/protocol'
import { expect, test } from 'vitest'

/** The same in the plainest way. */
class NaiveCounter {
  readonly here = new Set<number>()
  low: number
  private readonly window: number

  constructor(low: number, window: number) {
    this.low = low
    this.window = window
  }

  add(from: number, to: number): boolean {
    if (from > this.low && to > this.low + this.window) return false
    const before = this.here.size
    for (let n = Math.max(from, this.low); n < to; n++) this.here.add(n)
    const isNew = this.here.size > before
    while (this.here.delete(this.low)) this.low++
    return isNew
  }

  has(from: number, to: number): boolean {
    for (let n = from; n < to; n++) if (n >= this.low && !this.here.has(n)) return false
    return true
  }

  runs(end: number, present: boolean): Range[] {
    const runs: [number, number][] = []
    for (let n = this.low; n < end; n++) {
      if (this.here.has(n) !== present) continue
      const last = runs.at(-1)
      if (last?.[1] === n) last[1]++
      else runs.push([n, n + 1])
    }
    return runs
  }
}

/** mulberry32: the same numbers for the same seed. */
function randomOf(seed: number): (below: number) => number {
  let a = seed
  return (below) => {
    a = (a + 0x6d2b79f5) | 0
    let t = Math.imul(a ^ (a >>> 15), 1 | a)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

test.each([1, 2, 3, 4, 5, 6, 7, 8])('agreesWithASet_seed%i', (seed) => {
  const random = randomOf(seed)
  const window = seed % 3 === 0 ? Infinity : 20 + random(100)
  const counter = new RangeCounter(10, window)
  const naive = new NaiveCounter(10, window)
  for (let step = 0; step < 3_000; step++) {
    // Some of it behind the mark, some beyond the window.
    const from = Math.max(0, naive.low - 5 + random(random(4) === 0 ? 150 : 30))
    const to = from + 1 + random(12)
    expect(counter.has(from, to), `step ${step}: has [${from}, ${to})`).toBe(naive.has(from, to))
    expect(counter.add(from, to), `step ${step}: add [${from}, ${to})`).toBe(naive.add(from, to))
    expect(counter.low).toBe(naive.low)
    const end = naive.low + 200
    expect(counter.ranges()).toEqual(naive.runs(end, true))
    expect(counter.holes(end)).toEqual(naive.runs(end, false))
    expect(counter.whole).toBe(naive.here.size === 0)
    if (random(500) === 0) {
      const told = counter.ranges()
      counter.reset(counter.low, told)
      expect(counter.ranges()).toEqual(told)
    }
  }
})

test('add_inOrder_movesTheMark', () => {
  const counter = new RangeCounter(1)
  expect(counter.add(1, 4)).toBe(true)
  expect(counter.add(2, 4)).toBe(false)
  expect([counter.low, counter.whole]).toEqual([4, true])
})

test('add_theHole_takesWhatWaitedAboveIt', () => {
  const counter = new RangeCounter(0)
  counter.add(4, 6)
  counter.add(8, 9)
  expect(counter.holes(12)).toEqual([
    [0, 4],
    [6, 8],
    [9, 12],
  ])
  counter.add(0, 4)
  expect(counter.low).toBe(6)
  expect(counter.ranges()).toEqual([[8, 9]])
})

test('add_beyondTheWindow_isNotTaken_unlessInOrder', () => {
  const counter = new RangeCounter(0, 10)
  expect(counter.add(5, 11)).toBe(false)
  expect(counter.add(0, 11)).toBe(true)
  expect(counter.low).toBe(11)
})

test('reset_forgetsWhatWasAbove', () => {
  const counter = new RangeCounter(0)
  counter.add(3, 5)
  counter.reset(1)
  expect(counter.has(3, 5)).toBe(false)
  expect([counter.low, counter.whole]).toEqual([1, true])
})

test('ranges_atMost_namesTheLowest', () => {
  const counter = new RangeCounter(0)
  for (let n = 1; n < 20; n += 2) counter.add(n, n + 1)
  expect(counter.ranges(2)).toEqual([
    [1, 2],
    [3, 4],
  ])
})
