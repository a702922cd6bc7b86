// What the mixes do, how the closed loop goes round, and that the open loop counts from the times it planned.
import { expect, test } from 'vitest'
import { closedLoop } from '../../../../packages/cli/src/bench/closed-loop.js'
import { Dataset } from '../../../../packages/cli/src/bench/dataset.js'
import { load } from '../../../../packages/cli/src/bench/load.js'
import { KINDS, MIX_NAMES, MIXES } from '../../../../packages/cli/src/bench/mixes.js'
import { openLoop } from '../../../../packages/cli/src/bench/open-loop.js'
import type { Bench } from '../../../../packages/cli/src/bench/perform.js'
import { Random } from '../../../../packages/cli/src/bench/random.js'
import { Recorder } from '../../../../packages/cli/src/bench/recorder.js'
import { merged } from '../../../../packages/cli/src/bench/run.js'
import type { Store } from '../../../../packages/cli/src/bench/store.js'
import { Workload } from '../../../../packages/cli/src/bench/workload.js'

const COMMON = { keys: 1_000, seed: 1, client: 0, clients: 1 }

/** Time that passes only when somebody waits for it. */
class Time {
  now = 0
  #timers: { at: number; run: () => void }[] = []

  after = (ms: number, run: () => void): void => {
    this.#timers.push({ at: this.now + ms, run })
  }
  async runUntil(end: number): Promise<void> {
    for (;;) {
      for (let i = 0; i < 10; i++) await Promise.resolve()
      this.#timers.sort((x, y) => x.at - y.at)
      const next = this.#timers[0]
      if (next === undefined || next.at > end) return
      this.#timers.shift()
      this.now = Math.max(this.now, next.at)
      next.run()
    }
  }
}

function storeOf(answer: () => Promise<unknown>): Store {
  return { put: answer, get: answer, close: () => Promise.resolve() }
}

function benchOf(time: Time, store: Store, untilMs: number): Bench {
  const { mix, distribution } = { mix: MIXES.put, distribution: 'uniform' as const }
  const workload = new Workload({ ...COMMON, mix, distribution })
  return { workload, recorder: new Recorder({ from: 0, until: untilMs }), stores: [store], now: () => time.now }
}

test.each(MIX_NAMES)('workload_%s_hasTheSharesOfItsMix', (name) => {
  const mix = MIXES[name]
  const workload = new Workload({ ...COMMON, mix, distribution: mix.distribution })
  const counts = KINDS.map(() => 0)
  for (let i = 0; i < 100_000; i++) {
    const kind = workload.next()
    counts[kind]!++
    if (KINDS[kind] === 'insert') {
      expect(workload.key).toBeGreaterThanOrEqual(COMMON.keys)
      workload.inserted(workload.place)
    }
  }
  KINDS.forEach((kind, i) => expect(counts[i]! / 100_000).toBeCloseTo(mix.shares[kind] ?? 0, 1))
  for (const [i, kind] of KINDS.entries()) if (mix.shares[kind] === undefined) expect(counts[i]).toBe(0)
})

test('closedLoop_nextBeginsWhenTheLastEnded', async () => {
  const time = new Time()
  const store = storeOf(() => new Promise((resolve) => time.after(4, () => resolve(true))))
  const bench = benchOf(time, store, 40)
  const done = closedLoop(bench, 2)
  await time.runUntil(1_000)
  await done
  const { all, operations } = merged({ measureMs: 40 }, [bench.recorder.data()])
  // Each caller has ten; the last one ends with the window.
  expect([all.count, operations]).toEqual([20, 18])
  expect(all.percentileMs(0.5)).toBeCloseTo(4, 2)
})

test('openLoop_storeStandsStill_everyOperationPaysForIt', async () => {
  const time = new Time()
  let busyUntil = 0
  const store = storeOf(() => {
    // From 100 to 200 ms nothing is answered.
    if (time.now >= 100 && time.now < 200) busyUntil = 200
    const ms = Math.max(busyUntil - time.now, 0)
    return new Promise((resolve) => time.after(ms, () => resolve(true)))
  })
  const bench = benchOf(time, store, 300)
  const done = openLoop(bench, { rate: 1_000, maxOutstanding: 1_000, after: time.after })
  await time.runUntil(1_000)
  await done
  const { all } = merged({ measureMs: 300 }, [bench.recorder.data()])
  expect(all.count).toBe(299)
  expect(all.maxMs).toBe(100)
  // A third of the operations waited, 50 ms on average.
  expect(all.meanMs).toBeCloseTo((100 * 50.5) / 299, 0)
})

test('openLoop_processStandsStill_latencyCountsFromThePlannedTime', async () => {
  const time = new Time()
  const bench = benchOf(
    time,
    storeOf(() => Promise.resolve(true)),
    100,
  )
  const done = openLoop(bench, {
    rate: 1_000,
    maxOutstanding: 1_000,
    after: (ms, then) => time.after(time.now === 50 ? 20 : ms, then),
  })
  await time.runUntil(1_000)
  await done
  const { all, lateness } = merged({ measureMs: 100 }, [bench.recorder.data()])
  expect([all.count, all.maxMs, lateness.maxMs]).toEqual([99, 19, 19])
})

test('openLoop_tooMuchUnderWay_isNotSentButCounted', async () => {
  const time = new Time()
  const store = storeOf(() => new Promise((resolve) => time.after(1_000, () => resolve(true))))
  const bench = benchOf(time, store, 101)
  const done = openLoop(bench, { rate: 1_000, maxOutstanding: 10, after: time.after })
  await time.runUntil(10_000)
  await done
  const { all, notSent } = merged({ measureMs: 101 }, [bench.recorder.data()])
  expect([all.count, notSent]).toEqual([10, 90])
})

test('openLoop_poisson_keepsTheRate', async () => {
  const time = new Time()
  const bench = benchOf(
    time,
    storeOf(() => Promise.resolve(true)),
    10_000,
  )
  const done = openLoop(bench, { rate: 500, poisson: new Random(2), maxOutstanding: 1_000, after: time.after })
  await time.runUntil(20_000)
  await done
  expect(Math.abs(bench.recorder.operations - 5_000)).toBeLessThan(250)
})

test('load_writesWhatIsMissing_andOnlyItsPart', async () => {
  const written: number[] = []
  const store: Store = {
    ...storeOf(() => Promise.resolve(true)),
    put: (key) => Promise.resolve(written.push(key)),
    present: (found) => Promise.resolve([1, 2, 3].forEach(found)),
  }
  expect(await load([store], { keys: 10, valueBytes: 1, client: 1, clients: 2 })).toBe(3)
  expect(written).toEqual([5, 7, 9])
})

test('dataset_namesAreFound_insertedOnesAreOthers', () => {
  const dataset = new Dataset({ keys: 20, valueBytes: 5, run: 'x' })
  expect(dataset.keyOf(dataset.name(19))).toBe(19)
  expect(dataset.keyOf(dataset.name(20))).toBeUndefined()
  expect(dataset.keyOf(`${dataset.prefix}7`)).toBeUndefined()
  expect(dataset.name(20).startsWith(dataset.prefix)).toBe(false)
  expect(dataset.value().length).toBe(5)
})
