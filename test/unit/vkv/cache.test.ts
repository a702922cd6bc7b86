// The client cache: answers from memory under leases, stays linearizable, never starves a writer.
import { CoppiceError } from '@coppice/protocol'
import { expect, test } from 'vitest'
import { Db } from '@coppice/vkv/core'
import { World } from './memory-clerk.js'

const open = (world: World) => {
  const clerk = world.client()
  const db = new Db(clerk, world.ports)
  return { clerk, db }
}

test('get_again_answeredFromMemory_alsoThatNothingIsThere', async () => {
  const world = new World(1)
  const { clerk, db } = open(world)
  const cache = db.cached({ lease: '10s' })
  await world.run(cache.put('k', 'v'))
  expect(await world.run(cache.get('k'))).toBe('v')
  expect(await world.run(cache.get('missing'))).toBeUndefined()
  const { submitted } = clerk
  clerk.crash()
  expect(await world.run(cache.get('k'))).toBe('v')
  expect(await world.run(cache.get('missing'))).toBeUndefined()
  expect(clerk.submitted).toBe(submitted)
  expect(cache).toMatchObject({ hits: 2, misses: 2, size: 2 })
})

test('put_holderLives_waitsForARoundTrip_notForTheLease', async () => {
  const world = new World(2)
  const reader = open(world).db.cached({ lease: '5s' })
  const { db: writer } = open(world)
  await world.run(writer.kv.put('k', 'old'))
  await world.run(reader.get('k'))
  const begun = world.now
  await world.run(writer.kv.put('k', 'new'))
  expect(world.now - begun).toBeLessThan(500)
  expect(reader.size).toBe(0)
  expect(await world.run(reader.get('k'))).toBe('new')
})

test('put_holderIsGone_waitsUntilItsTimeIsOver_andNoLonger', async () => {
  const world = new World(3)
  const { clerk, db } = open(world)
  const reader = db.cached({ lease: '5s' })
  await world.run(reader.get('k'))
  clerk.crash()
  const begun = world.now
  let done = false
  const write = open(world)
    .db.kv.put('k', 'new', { timeout: '30s' })
    .then(() => (done = true))
  while (!done) {
    // As long as the write has not returned the old value is a right answer, and the only one it can give.
    const seen = reader.get('k')
    void seen.catch(() => undefined)
    if (reader.hits > 0) expect(done).toBe(false)
    await world.pass(50)
  }
  await world.run(write)
  expect(world.now - begun).toBeGreaterThan(4_500)
  expect(world.now - begun).toBeLessThan(5_500)
  const { hits } = reader
  void reader.get('k')
  expect(reader.hits).toBe(hits)
})

test('caches_manyClients_linearizable', async () => {
  for (let seed = 0; seed < 30; seed++) {
    const world = new World(seed)
    let written = 0
    let acknowledged = 0
    const writer = open(world).db
    const readers = [0, 1, 2].map(() => open(world).db.cached({ lease: 300 }))
    const pause = () => new Promise<void>((resolve) => void world.after(world.random() * 60, resolve))
    const writing = (async () => {
      for (let n = 1; n <= 12; n++) {
        written = n
        await writer.kv.put('k', String(n))
        acknowledged = n
        await pause()
      }
    })()
    const reading = readers.map(async (reader) => {
      let last = 0
      for (let i = 0; i < 60; i++) {
        const before = acknowledged
        const value = Number((await reader.get('k')) ?? 0)
        // Not older than what was acknowledged before the read began or was read before, not newer than what was begun.
        expect(value).toBeGreaterThanOrEqual(Math.max(before, last))
        expect(value).toBeLessThanOrEqual(written)
        last = value
        await pause()
      }
    })
    await world.run(Promise.all([writing, ...reading]))
    expect(acknowledged).toBe(12)
    expect(readers.reduce((hits, reader) => hits + reader.hits, 0)).toBeGreaterThan(20)
  }
})

test('put_readersKeepCaching_isNotStarved', async () => {
  const world = new World(6)
  const readers = [0, 1].map(() => open(world).db.cached({ lease: '2s' }))
  const { db: writer } = open(world)
  await world.run(readers[0]!.get('k'))
  const begun = world.now
  let done = false
  const write = writer.kv.put('k', 'new', { timeout: '30s' }).finally(() => (done = true))
  const reading = readers.map(async (reader) => {
    while (!done) {
      await reader.get('k')
      await new Promise<void>((resolve) => void world.after(5, resolve))
    }
  })
  await world.run(Promise.all([write, ...reading]))
  expect(world.now - begun).toBeLessThan(1_000)
})

test('cache_full_dropsTheLeastRecentlyUsed', async () => {
  const world = new World(4)
  const { clerk, db } = open(world)
  const cache = db.cached({ lease: '60s', max: 2 })
  for (const key of ['a', 'b']) await world.run(cache.get(key))
  await world.run(cache.get('a'))
  await world.run(cache.get('c'))
  expect(cache.size).toBe(2)
  clerk.crash()
  expect(await world.run(cache.get('a'))).toBeUndefined()
})

test('delete_cached_missingForAll', async () => {
  const world = new World(5)
  const [one, two] = [0, 1].map(() => open(world).db.cached({ lease: 200 }))
  await world.run(one!.put('k', 'v'))
  for (const cache of [one!, two!]) expect(await world.run(cache.get('k'))).toBe('v')
  await world.run(one!.delete('k'))
  for (const cache of [one!, two!]) expect(await world.run(cache.get('k'))).toBeUndefined()
})

test('cache_ofJson_eachAnswerIsACopy', async () => {
  const world = new World(7)
  const { db } = open(world)
  const cache = db.cached({ of: db.kv.json<{ n: number }>() })
  await world.run(cache.put('k', { n: 1 }))
  const first = await world.run(cache.get('k'))
  first!.n = 2
  expect(await world.run(cache.get('k'))).toEqual({ n: 1 })
  expect(cache.hits).toBe(1)
})

test('close_leasesGoBack_readsGoOn', async () => {
  const world = new World(8)
  const { db } = open(world)
  const cache = db.cached({ lease: '60s' })
  await world.run(cache.get('k'))
  await world.run(cache.close())
  const begun = world.now
  await world.run(db.kv.put('k', 'v'))
  expect(world.now - begun).toBeLessThan(100)
  expect(await world.run(cache.get('k'))).toBe('v')
})

test('cached_badOptions_refused', () => {
  const { db } = open(new World(9))
  expect(() => db.cached({ lease: 50 })).toThrow('lease of 50 ms is not between 100 and 60000 ms')
  expect(() => db.cached({ max: 0 })).toThrow('max of 0')
})

test('get_whoAskedFirstGivesUp_theOthersAreAnswered', async () => {
  const world = new World(10)
  const { db } = open(world)
  const cache = db.cached({ lease: '10s' })
  const gone = new AbortController()
  const first = cache.get('k', { signal: gone.signal })
  const second = cache.get('k')
  gone.abort(new Error('enough'))
  await expect(world.run(first)).rejects.toMatchObject({ code: 'ABORTED' })
  expect(await world.run(second)).toBeUndefined()
  await expect(world.run(cache.get('other', { timeout: 1 }))).rejects.toMatchObject({ code: 'TIMEOUT' })
})

test('get_holderHasEnded_anotherIsOpened', async () => {
  const world = new World(11)
  const { clerk, db } = open(world)
  const cache = db.cached({ lease: 200 })
  await world.run(cache.get('k'))
  // Nothing of this client arrives for a while, though it lives.
  clerk.onSubmit = () => new CoppiceError('lost', { code: 'TIMEOUT', outcome: 'not-applied' })
  await world.pass(1_000)
  clerk.onSubmit = undefined
  expect(await world.run(cache.get('k'))).toBeUndefined()
  await world.run(cache.get('k'))
  const { hits } = cache
  await world.run(cache.get('k'))
  expect(cache.hits).toBe(hits + 1)
})
