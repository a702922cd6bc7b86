// Elections: one leader at a time, whose value is told; candidates follow in their order, observers see each of them.
import { expect, test } from 'vitest'
import { CompactedError } from '@coppice/protocol'
import { Db, type Leader } from '@coppice/vkv/core'
import { World } from './memory-clerk.js'

const failed = <T>(promise: Promise<T>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  )
const open = (world: World) => {
  const clerk = world.client()
  return { clerk, db: new Db(clerk, world.ports) }
}

test('elect_firstLeads_othersFollowInOrder', async () => {
  const world = new World(1)
  const { db } = open(world)
  expect(await world.run(db.leader('boss'))).toBe(undefined)
  const first = await world.run(db.elect('boss', { value: 'one' }))
  expect(await world.run(db.leader('boss'))).toEqual({ token: first.token, value: 'one' })
  const second = open(world).db.elect('boss', { value: 'two' })
  await world.pass(500)
  expect(await world.run(failed(open(world).db.elect('boss', { wait: 0 })))).toMatchObject({ code: 'LOCK_BUSY' })
  await world.run(first.resign())
  expect(first.signal.aborted).toBe(true)
  const next = await world.run(second)
  expect(next.token).toBeGreaterThan(first.token)
  expect(await world.run(db.leader('boss'))).toEqual({ token: next.token, value: 'two' })
  expect(await world.run(failed(first.kv.put('k', 'stale')))).toMatchObject({ code: 'FENCED' })
  await world.run(next.kv.put('k', 'fresh'))
})

test('leader_ofALongerName_isNotThisOnes', async () => {
  const world = new World(2)
  const { db } = open(world)
  await world.run(db.elect('boss/2', { value: 'x' }))
  expect(await world.run(db.leader('boss'))).toBe(undefined)
})

test('proclaim_changesTheValue_lostLeaderCannot', async () => {
  const world = new World(3)
  const { clerk, db } = open(world)
  const lead = await world.run(db.elect('boss', { value: 'one', ttl: '1s' }))
  await world.run(lead.proclaim('still one'))
  expect(await world.run(db.leader('boss'))).toEqual({ token: lead.token, value: 'still one' })
  clerk.delayMs = 5_000
  await world.pass(20_000)
  clerk.delayMs = 5
  expect(lead.signal.aborted).toBe(true)
  expect(await world.run(failed(lead.proclaim('late')))).toMatchObject({ code: 'LOCK_LOST' })
  expect(await world.run(db.leader('boss'))).toBe(undefined)
})

test('observe_everyLeaderInOrder_alsoAcrossAGapOfTheWatch', async () => {
  const world = new World(4)
  const { clerk, db } = open(world)
  const seen: (Leader | undefined)[] = []
  const abort = new AbortController()
  const observing = failed(
    (async () => {
      for await (const leader of db.observe('boss', { signal: abort.signal })) seen.push(leader)
    })(),
  )
  await world.pass(200)
  const tokens: number[] = []
  for (const value of ['one', 'two', 'three']) {
    const lead = await world.run(open(world).db.elect('boss', { value }))
    tokens.push(lead.token)
    await world.pass(200)
    if (value === 'two') clerk.endWatches(new CompactedError(1, 5))
    await world.run(lead.resign())
    await world.pass(500)
  }
  expect(seen.filter((leader) => leader !== undefined)).toEqual(
    ['one', 'two', 'three'].map((value, i) => ({ token: tokens[i], value })),
  )
  expect(seen[0]).toBe(undefined)
  expect(seen.at(-1)).toBe(undefined)
  abort.abort()
  expect(await world.run(observing)).toMatchObject({ code: 'ABORTED' })
  expect(clerk.watches).toBe(0)
})

test('elect_valueTooLong_refused', async () => {
  const world = new World(5)
  const error = await failed(open(world).db.elect('boss', { value: 'x'.repeat(1_025) }))
  expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' })
})

test('observe_timeout_isThatOfTheFirstAnswer', async () => {
  const world = new World(9)
  const { clerk, db } = open(world)
  const news = db.observe('boss', { timeout: '1s' })
  expect(await world.run(news.next())).toEqual({ done: false, value: undefined })
  const next = news.next()
  await world.pass(30_000)
  const lead = await world.run(open(world).db.elect('boss', { value: 'late' }))
  expect((await world.run(next)).value).toEqual({ token: lead.token, value: 'late' })
  await news.return()
  // Nobody answers.
  clerk.delayMs = 60_000
  const late = db.observe('boss', { timeout: '1s' })
  const begun = world.now
  expect(await world.run(failed(late.next()))).toMatchObject({ code: 'TIMEOUT', outcome: 'not-applied' })
  expect(world.now - begun).toBe(1_000)
  expect(clerk.watches).toBe(0)
})

test('observe_timeout_holdsAlsoWhenItsTimerIsEarly_orTheWatchFailsJustBefore', async () => {
  const world = new World(10)
  const { clerk, db } = open(world)
  clerk.delayMs = 60_000
  // Timers of Node may be early by less than a millisecond.
  const { after } = clerk.clock
  const early = { ...clerk.clock, after: (ms: number, run: () => void) => after(Math.max(0, ms - 0.5), run) }
  Object.defineProperty(clerk, 'clock', { value: early })
  expect(await world.run(failed(db.observe('boss', { timeout: '1s' }).next()))).toMatchObject({ code: 'TIMEOUT' })
  expect(world.now).toBeLessThanOrEqual(1_000)
  Object.defineProperty(clerk, 'clock', { value: { ...early, after } })
  const begun = world.now
  const news = failed(db.observe('boss', { timeout: '1s' }).next())
  await world.pass(950)
  clerk.endWatches(new CompactedError(1, 5))
  expect(await world.run(news)).toMatchObject({ code: 'TIMEOUT' })
  expect(world.now - begun).toBeLessThan(1_100)
  expect(clerk.watches).toBe(0)
})
