// The client cache: answers from memory under leases, stays linearizable, never starves a writer.
import { expect, test } from 'vitest'
import { boundedClock, Cache, type KvPorts } from '@coppice/vkv/core'
import { World } from './memory-clerk.js'

const ERROR_MS = 50

/** Ports of a client whose wall clock is off by so much, within the bound that all have agreed on. */
function skewed(world: World, offMs: number): KvPorts {
  return { ...world.ports, timeRange: boundedClock(() => 1_000_000 + world.now + offMs, ERROR_MS) }
}

test('getAndCache_again_answeredFromMemory', async () => {
  const world = new World(1)
  const clerk = world.client()
  const cache = new Cache(clerk, skewed(world, 0), { lease: '10s' })
  await world.run(cache.put('k', 'v'))
  expect(await world.run(cache.getAndCache('k'))).toBe('v')
  expect(await world.run(cache.getAndCache('missing'))).toBeUndefined()
  const submitted = clerk.submitted
  clerk.crash()
  expect(await world.run(cache.get('k'))).toBe('v')
  expect(await world.run(cache.get('missing'))).toBeUndefined()
  expect(clerk.submitted).toBe(submitted)
})

test('put_leaseOut_waitsUntilItEnded', async () => {
  const world = new World(2)
  const reader = new Cache(world.client(), skewed(world, 40), { lease: '5s' })
  const writer = new Cache(world.client(), skewed(world, -40))
  await world.run(writer.put('k', 'old'))
  await world.run(reader.getAndCache('k'))
  const begun = world.now
  const write = writer.put('k', 'new')
  let done = false
  void write.then(() => (done = true))
  while (!done) {
    // As long as the write has not returned the old value is a right answer; the reader may only fall back to the store.
    const seen = await world.run(reader.get('k'))
    if (world.now - begun < 4_800) expect(seen).toBe('old')
    await world.pass(97)
  }
  expect(world.now - begun).toBeGreaterThan(4_900)
  expect(await world.run(reader.get('k'))).toBe('new')
})

test('caches_manyClientsSkewedClocks_linearizable', async () => {
  for (let seed = 0; seed < 20; seed++) {
    const world = new World(seed)
    let written = 0
    let acknowledged = 0
    const writer = new Cache(world.client(), skewed(world, 45), { lease: 300 })
    const readers = [-45, 0, 45].map((off) => new Cache(world.client(), skewed(world, off), { lease: 300 }))
    const pause = () => new Promise<void>((resolve) => void world.after(world.random() * 200, resolve))
    const writing = (async () => {
      for (let n = 1; n <= 8; n++) {
        written = n
        await writer.put('k', String(n))
        acknowledged = n
        await pause()
      }
    })()
    const reading = readers.map(async (reader) => {
      let last = 0
      for (let i = 0; i < 40; i++) {
        const before = acknowledged
        const value = Number((await (world.random() < 0.7 ? reader.getAndCache('k') : reader.get('k'))) ?? 0)
        // Not older than what was acknowledged before the read began or was read before, not newer than what was begun.
        expect(value).toBeGreaterThanOrEqual(Math.max(before, last))
        expect(value).toBeLessThanOrEqual(written)
        last = value
        await pause()
      }
    })
    await world.run(Promise.all([writing, ...reading]))
    expect(acknowledged).toBe(8)
  }
})

test('put_readersKeepCaching_waitsForOneLeaseOnly', async () => {
  const world = new World(6)
  const readers = [0, 10].map((off) => new Cache(world.client(), skewed(world, off), { lease: '2s' }))
  const writer = new Cache(world.client(), skewed(world, 0))
  await world.run(readers[0]!.getAndCache('k'))
  const begun = world.now
  let done = false
  const write = writer.put('k', 'new', { timeout: '30s' }).finally(() => (done = true))
  const reading = readers.map(async (reader) => {
    while (!done) {
      await reader.getAndCache('k')
      await new Promise<void>((resolve) => void world.after(15, resolve))
    }
  })
  await world.run(Promise.all([write, ...reading]))
  expect(world.now - begun).toBeLessThan(3_000)
})

test('cache_withoutClockBound_readsThrough', async () => {
  const world = new World(3)
  const clerk = world.client()
  const cache = new Cache(clerk, world.ports)
  await world.run(cache.put('k', 'v'))
  expect(await world.run(cache.getAndCache('k'))).toBe('v')
  expect(cache.size).toBe(0)
})

test('cache_full_dropsTheLeastRecentlyUsed', async () => {
  const world = new World(4)
  const clerk = world.client()
  const cache = new Cache(clerk, skewed(world, 0), { lease: '60s', max: 2 })
  for (const key of ['a', 'b']) await world.run(cache.getAndCache(key))
  await world.run(cache.get('a'))
  await world.run(cache.getAndCache('c'))
  expect(cache.size).toBe(2)
  clerk.crash()
  expect(await world.run(cache.get('a'))).toBeUndefined()
})

test('delete_cached_missingForAll', async () => {
  const world = new World(5)
  const cache = new Cache(world.client(), skewed(world, 0), { lease: 200 })
  await world.run(cache.put('k', 'v'))
  await world.run(cache.getAndCache('k'))
  await world.run(cache.delete('k'))
  expect(await world.run(cache.getAndCache('k'))).toBeUndefined()
})
