import { expect, test } from 'vitest'
import { WriteQueue } from '../../../packages/sim/src/kernel/disk.js'
import { Kernel } from '../../../packages/sim/src/kernel/kernel.js'
import { Prng } from '../../../packages/sim/src/kernel/prng.js'

function disk(seed: number) {
  const kernel = new Kernel()
  const durable: number[] = []
  const queue = new WriteQueue<number>(kernel, new Prng(seed), 1, (write) => durable.push(write))
  const done: number[] = []
  const write = (...writes: number[]) => queue.write(writes, () => done.push(writes[0]!))
  return { kernel, durable, queue, done, write }
}

test('write_completes_in_order_after_it_is_durable', async () => {
  const d = disk(1)
  d.write(1)
  d.write(2, 3)
  expect(d.done).toEqual([])
  d.kernel.at(0.01, () => d.write(4))
  await d.kernel.run(1_000, () => false)
  expect(d.durable).toEqual([1, 2, 3, 4])
  expect(d.done).toEqual([1, 2, 4])
  expect(d.queue.idle).toBe(true)
})

test('crash_keeps_a_prefix_of_whole_effects_and_completes_nothing', async () => {
  const kept = new Set<number>()
  for (let seed = 0; seed < 60; seed++) {
    const d = disk(seed)
    d.write(1, 2)
    d.write(3, 4)
    d.write(5, 6)
    d.queue.crash()
    kept.add(d.durable.length)
    expect([1, 2, 3, 4, 5, 6].slice(0, d.durable.length)).toEqual(d.durable)
    d.write(7)
    await d.kernel.run(1_000, () => false)
    expect(d.done).toEqual([7])
  }
  expect([...kept].sort()).toEqual([0, 2, 4, 6])
})

test('hanging_completes_nothing_until_released', async () => {
  const d = disk(3)
  d.queue.hanging = true
  d.write(1)
  d.write(2)
  await d.kernel.run(1_000, () => false)
  expect(d.done).toEqual([])
  d.kernel.at(1_500, () => d.queue.release())
  await d.kernel.run(3_000, () => false)
  expect(d.done).toEqual([1, 2])
})
