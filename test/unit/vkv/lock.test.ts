// Lock clients over a machine in memory: exclusion, the signal's promise, queues, fences.
import { expect, test } from 'vitest'
import { CompactedError, CoppiceError } from '@coppice/protocol'
import { Db, type HeldLock } from '@coppice/vkv/core'
import {
  acquireLock,
  CHANGE_LOCK_HELD,
  CHANGE_LOCK_LEFT,
  CHANGE_LOCK_QUEUED,
  GRANT_MS,
  STREAM_LOCKS,
  withLock,
} from '@coppice/vkv/internal'
import { OP_KEEP_ALIVE } from '../../../packages/vkv/src/core/session-operations.js'
import { type MemoryClerk, World } from './memory-clerk.js'

const failed = <T>(promise: Promise<T>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  )

test('lock_heldByAnother_busyAfterWait', async () => {
  const world = new World(1)
  const held = await world.run(acquireLock(world.client(), world.ports, 'l'))
  const second = world.client()
  expect(await world.run(failed(acquireLock(second, world.ports, 'l', { wait: 0 })))).toMatchObject({
    code: 'LOCK_BUSY',
  })
  expect(await world.run(failed(acquireLock(second, world.ports, 'l', { wait: '2s' })))).toMatchObject({
    code: 'LOCK_BUSY',
    outcome: 'not-applied',
  })
  await world.run(held.release())
  const next = await world.run(acquireLock(second, world.ports, 'l', { wait: 0 }))
  expect(next.token).toBeGreaterThan(held.token)
})

test('lock_renewed_heldForLongerThanItsTtl', async () => {
  const world = new World(2)
  const held = await world.run(acquireLock(world.client(), world.ports, 'l', { ttl: '1s' }))
  await world.pass(20_000)
  expect(held.valid).toBe(true)
  const other = await world.run(failed(acquireLock(world.client(), world.ports, 'l', { wait: 0 })))
  expect(other).toMatchObject({ code: 'LOCK_BUSY' })
})

test('lock_holderDead_takenAsExpired_waiterDoesNotPoll', async () => {
  const world = new World(3)
  const dying = world.client()
  const held = await world.run(acquireLock(dying, world.ports, 'l', { ttl: '3s' }))
  dying.crash()
  const waiter = world.client()
  const next = await world.run(acquireLock(waiter, world.ports, 'l'))
  expect(next.taken).toBe('expired')
  expect(next.token).toBeGreaterThan(held.token)
  // It asks, opens a session, takes a place, and confirms what it was given.
  expect(waiter.submitted).toBe(4)
})

test('lock_manyWait_inTheirOrder_oneKeepAliveForAll', async () => {
  const world = new World(11)
  const holder = await world.run(acquireLock(world.client(), world.ports, 'l', { ttl: '1h' }))
  const clerk = world.client()
  const order: number[] = []
  const waiters: Promise<void>[] = []
  for (let i = 0; i < 50; i++) {
    waiters.push(
      acquireLock(clerk, world.ports, 'l', { timeout: '1h' }).then(async (lock) => {
        order.push(i)
        await lock.release()
      }),
    )
    await world.pass(100)
  }
  expect(clerk.watches).toBe(50)
  const before = clerk.submitted
  await world.pass(60_000)
  // Three keep-alives in its ttl of ten seconds.
  expect(clerk.submitted - before).toBeLessThanOrEqual(20)
  await world.run(holder.release())
  await world.run(Promise.all(waiters))
  expect(order).toEqual([...order].sort((x, y) => x - y))
  expect(clerk.watches).toBe(0)
  // The session goes some time after the last waiter.
  await world.pass(20_000)
  expect(world.driven.machine.counts).toMatchObject({ locks: 0, sessions: 0 })
})

test('lock_givenToADeadWaiter_nextOneHasItSoon', async () => {
  const world = new World(12)
  const holder = await world.run(acquireLock(world.client(), world.ports, 'l', { ttl: '1h' }))
  const dying = world.client()
  void acquireLock(dying, world.ports, 'l', { timeout: '1h' }).catch(() => undefined)
  await world.pass(500)
  const next = acquireLock(world.client(), world.ports, 'l', { timeout: '1h' })
  await world.pass(500)
  dying.crash()
  await world.run(holder.release())
  const from = world.now
  const lock = await world.run(next)
  expect(lock.taken).toBe('free')
  expect(world.now - from).toBeLessThan(GRANT_MS + 200)
})

test('lock_watchEndsWhileWaiting_asksAgainAndKeepsItsPlace', async () => {
  const world = new World(13)
  const holder = await world.run(acquireLock(world.client(), world.ports, 'l', { ttl: '1h' }))
  const clerk = world.client()
  const first = acquireLock(clerk, world.ports, 'l', { timeout: '1h' })
  await world.pass(500)
  const second = acquireLock(world.client(), world.ports, 'l', { timeout: '1h' })
  await world.pass(500)
  clerk.endWatches(new CompactedError(1, 5))
  await world.pass(500)
  expect(clerk.watches).toBe(1)
  await world.run(holder.release())
  const [one, two] = await world.run(Promise.all([first.then((l) => l.release().then(() => l)), second]))
  expect(one.token).toBeLessThan(two.token)
})

test('lock_sessionLostWhileWaiting_standsInTheQueueAgain', async () => {
  const world = new World(14)
  const holder = await world.run(acquireLock(world.client(), world.ports, 'l', { ttl: '1h' }))
  const clerk = world.client()
  const waiting = acquireLock(clerk, world.ports, 'l', { timeout: '1h' })
  await world.pass(500)
  // Nothing arrives for longer than the session lasts.
  clerk.delayMs = 30_000
  await world.pass(40_000)
  clerk.delayMs = 20
  await world.pass(60_000)
  await world.run(holder.release())
  expect((await world.run(waiting)).valid).toBe(true)
})

// A waiter's client gives its session up before the store does: in between both the old place and the new one could stand in the queue.
test('lock_sessionGivenUpWhileWaiting_oldPlaceGoesBeforeTheNewOneComes', async () => {
  const world = new World(21)
  const holder = await world.run(acquireLock(world.client(), world.ports, 'l', { ttl: '1h' }))
  const clerk = world.client()
  const waiting = acquireLock(clerk, world.ports, 'l', { timeout: '1h' })
  await world.pass(500)
  const lost = new CoppiceError('lost', { code: 'UNAVAILABLE', outcome: 'not-applied', retryable: true })
  clerk.onSubmit = (operation) => (operation[0] === OP_KEEP_ALIVE ? lost : undefined)
  await world.pass(12_000)
  clerk.onSubmit = undefined
  const places = world.driven.past.filter(({ stream }) => stream === STREAM_LOCKS).map(({ kind }) => kind)
  expect(places).toEqual([CHANGE_LOCK_HELD, CHANGE_LOCK_QUEUED, CHANGE_LOCK_LEFT, CHANGE_LOCK_QUEUED])
  await world.run(holder.release())
  const held = await world.run(waiting)
  expect(held.valid).toBe(true)
  // Nothing of the first place is left that the lock would be given to.
  await world.run(held.release())
  expect((await world.run(acquireLock(world.client(), world.ports, 'l', { wait: 0 }))).valid).toBe(true)
})

test('lock_closedWhileWaiting_placeAndSessionGo', async () => {
  const world = new World(15)
  const holder = await world.run(acquireLock(world.client(), world.ports, 'l', { ttl: '1h' }))
  const db = new Db(world.client(), world.ports)
  const abort = new AbortController()
  const waiting = failed(db.lock('l', { timeout: '1h', signal: abort.signal }))
  await world.pass(500)
  abort.abort()
  await world.run(waiting)
  await world.run(db.close())
  await world.run(holder.release())
  expect(world.driven.machine.counts).toMatchObject({ locks: 0, sessions: 0 })
})

test('lock_manyContenders_neverTwoBelieveInIt', async () => {
  for (let seed = 0; seed < 20; seed++) {
    const world = new World(seed)
    const holders = new Set<HeldLock>()
    const tokens: number[] = []
    const contender = async () => {
      for (let i = 0; i < 3; i++) {
        const clerk = world.client()
        const lock = await acquireLock(clerk, world.ports, 'l', { ttl: 300 })
        for (const other of holders) expect(other.valid).toBe(false)
        holders.add(lock)
        tokens.push(lock.token)
        // Some die, some are cut off for a while, some release.
        const fate = world.random()
        if (fate < 0.3) clerk.crash()
        else if (fate < 0.6) clerk.delayMs = 2_000
        await new Promise<void>((resolve) => void world.after(world.random() * 500, resolve))
        if (fate >= 0.3) await failed(lock.release({ timeout: '1s' }))
      }
    }
    await world.run(Promise.all([contender(), contender(), contender(), contender()]))
    expect(tokens).toEqual([...tokens].sort((a, b) => a - b))
  }
})

test('lock_lost_signalAbortedAndWritesFenced', async () => {
  const world = new World(4)
  const cut = world.client()
  const held = await world.run(acquireLock(cut, world.ports, 'l', { ttl: '1s' }))
  const aborted = new Promise<void>((resolve) => held.signal.addEventListener('abort', resolve))
  const other = acquireLock(world.client(), world.ports, 'l').then((lock) => {
    expect(held.signal.aborted).toBe(true)
    return lock
  })
  // Its renewals arrive too late, each of them.
  cut.onSubmit = undefined
  cut.delayMs = 60_000
  await world.run(aborted)
  expect(held.signal.reason).toMatchObject({ code: 'LOCK_LOST' })
  const next = await world.run(other)
  cut.delayMs = 5
  expect(await world.run(failed(held.kv.put('k', 'stale')))).toMatchObject({ code: 'FENCED', outcome: 'not-applied' })
  expect(await world.run(next.kv.put('k', 'fresh'))).toMatchObject({ value: 'fresh' })
  // A stale holder's release does not take the lock from the new one.
  await world.run(held.release())
  expect(await world.run(next.kv.put('k', 'still mine'))).toMatchObject({ value: 'still mine' })
})

test('lock_abortedWhileWaiting_leavesNothingBehind', async () => {
  const world = new World(5)
  const held = await world.run(acquireLock(world.client(), world.ports, 'l'))
  const abort = new AbortController()
  const waiting = failed(acquireLock(world.client(), world.ports, 'l', { signal: abort.signal }))
  await world.pass(200)
  abort.abort(new Error('enough'))
  expect(await world.run(waiting)).toMatchObject({ name: 'AbortError', code: 'ABORTED' })
  await world.run(held.release())
  await world.pass(100)
  expect(world.driven.machine.counts.locks).toBe(0)
})

test('withLock_workThrows_releasedAndErrorGoesOn', async () => {
  const world = new World(6)
  const clerk: MemoryClerk = world.client()
  const work = withLock(clerk, world.ports, 'l', {}, () => {
    throw new Error('no')
  })
  expect(String(await world.run(failed(work)))).toBe('Error: no')
  expect(world.driven.machine.counts.locks).toBe(0)
})

test.each([
  [{ ttl: '10' }, /ttl: "10" is no duration/],
  [{ ttl: 10 }, /ttl of 10 ms/],
  [{ wait: -1 }, /wait: -1 is no duration/],
])('lock_options_%j_refused', async (options, message) => {
  const world = new World(7)
  const error = await failed(acquireLock(world.client(), world.ports, 'l', options))
  expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' })
  expect(String(error)).toMatch(message)
})
