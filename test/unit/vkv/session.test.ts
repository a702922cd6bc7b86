// Sessions, ttl and idempotency keys as clients see them, over a machine in memory.
import { expect, test } from 'vitest'
import { CoppiceError } from '@coppice/protocol'
import { Db, type Session, textKv } from '@coppice/vkv/core'
import { END_EXPIRED, safeSessionMs, STREAM_SESSIONS } from '@coppice/vkv/internal'
import { type MemoryClerk, World } from './memory-clerk.js'

const failed = <T>(promise: Promise<T>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  )
const connect = (world: World, clerk: MemoryClerk = world.client()) => new Db(clerk, world.ports)

async function all<T>(list: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const one of list) found.push(one)
  return found
}

test('session_keptAlive_outlivesItsTtl_endsWithItsProcess', async () => {
  const world = new World(1)
  const clerk = world.client()
  const session = await world.run(connect(world, clerk).session({ ttl: '1s', name: 'mine' }))
  const other = connect(world)
  await world.run(connect(world, clerk).kv.put('k', 'v', { session }))
  await world.pass(20_000)
  expect(session.valid).toBe(true)
  expect(await world.run(other.kv.get('k'))).toBe('v')
  const listed = await world.run(all(other.sessions()))
  expect(listed).toMatchObject([{ id: session.id, name: 'mine', ttlMs: 1_000, keys: 1 }])
  clerk.crash()
  await world.pass(1_100)
  expect(await world.run(other.kv.get('k'))).toBeUndefined()
  expect(await world.run(all(other.sessions()))).toEqual([])
})

test('session_cutOff_signalIsAbortedBeforeTheStoreEndsIt', async () => {
  for (let seed = 0; seed < 30; seed++) {
    const world = new World(seed)
    const sessions = new Map<number, Session>()
    const ends = new Map<number, number>()
    for (let i = 0; i < 6; i++) {
      const clerk = world.client()
      const db = connect(world, clerk)
      const session = await world.run(db.session({ ttl: 200 + Math.floor(world.random() * 600) }))
      sessions.set(session.id, session)
      session.signal.addEventListener('abort', () => ends.set(session.id, world.now))
      world.after(world.random() * 1_000, () => (clerk.delayMs = 3_000))
    }
    await world.pass(8_000)
    await world.run(connect(world).kv.get('k'))
    const expired = world.driven.changes.filter((c) => c.stream === STREAM_SESSIONS)
    expect(expired.length).toBe(6)
    for (const { topic, payload, at } of expired) {
      const id = Number(Buffer.from(topic, 'latin1').readBigUInt64BE())
      expect(payload.charCodeAt(0)).toBe(END_EXPIRED)
      expect(sessions.get(id)!.valid).toBe(false)
      expect(ends.get(id)).toBeLessThan(at)
    }
  }
})

test('session_revoked_signalIsAbortedSoonWithAReason', async () => {
  const world = new World(2)
  const db = connect(world)
  const session = await world.run(db.session({ ttl: '3s' }))
  await world.run(db.kv.put('k', 'v', { session: session.id }))
  const other = connect(world)
  expect(await world.run(other.revokeSession(session.id))).toBe(true)
  expect(await world.run(other.revokeSession(session.id))).toBe(false)
  expect(await world.run(db.kv.get('k'))).toBeUndefined()
  await world.pass(1_100)
  expect(session.signal.aborted).toBe(true)
  expect(session.signal.reason).toMatchObject({ code: 'SESSION_ENDED', outcome: 'unknown' })
  const error = await world.run(failed(db.kv.put('k', 'v', { session })))
  expect(error).toMatchObject({ code: 'SESSION_ENDED', outcome: 'not-applied', retryable: false })
})

test('session_closed_keysGoneAndSignalAborted_storeClosed_allOfIt', async () => {
  const world = new World(3)
  const db = connect(world)
  const [first, second] = await world.run(Promise.all([db.session(), db.session()]))
  await world.run(Promise.all([db.kv.put('a', '1', { session: first }), db.kv.put('b', '2', { session: second })]))
  await world.run(first.close())
  expect(first.signal.aborted).toBe(true)
  const other = connect(world)
  expect(await world.run(other.kv.getMany(['a', 'b']))).toEqual([undefined, '2'])
  await world.run(db.close())
  expect(second.signal.aborted).toBe(true)
  expect(await world.run(other.kv.get('b'))).toBeUndefined()
})

test('sessions_thousandOfOneProcess_keptAliveTogether', async () => {
  const world = new World(4)
  const clerk = world.client()
  const db = connect(world, clerk)
  const sessions = await world.run(Promise.all(Array.from({ length: 1_000 }, () => db.session({ ttl: '3s' }))))
  const before = clerk.submitted
  await world.pass(30_000)
  expect(sessions.every((session) => session.valid)).toBe(true)
  // One in a second.
  expect(clerk.submitted - before).toBeLessThanOrEqual(31)
  expect(world.driven.machine.counts.sessions).toBe(1_000)
})

test('sessions_ofDifferentTtl_eachKeptInItsTime', async () => {
  const world = new World(5)
  const clerk = world.client()
  const db = connect(world, clerk)
  const sessions = await world.run(Promise.all([200, 500, 3_000, 60_000].map((ttl) => db.session({ ttl }))))
  clerk.delayMs = 10
  await world.pass(60_000)
  expect(sessions.map((session) => session.valid)).toEqual([true, true, true, true])
})

test('session_keepAliveFails_triedAgainUntilItsEnd', async () => {
  const world = new World(6)
  const clerk = world.client()
  const db = connect(world, clerk)
  const session = await world.run(db.session({ ttl: '2s' }))
  clerk.onSubmit = () => new CoppiceError('refused', { code: 'OVERLOADED', outcome: 'not-applied', retryable: true })
  await world.pass(1_500)
  expect(session.valid).toBe(true)
  clerk.onSubmit = undefined
  await world.pass(5_000)
  expect(session.valid).toBe(true)
  clerk.onSubmit = () => new CoppiceError('refused', { code: 'OVERLOADED', outcome: 'not-applied', retryable: true })
  await world.pass(1_900)
  expect(session.signal.aborted).toBe(true)
})

test('safeSessionMs_endsBeforeAnySkewedClockOfThePrimary', () => {
  for (const drift of [0, 0.05, 0.2]) {
    // Ours runs slow, the primary's fast: it has counted no more than the ttl when ours has counted the safe part.
    const real = safeSessionMs(10_000, { drift }) / (1 - drift)
    expect(real * (1 + drift)).toBeLessThanOrEqual(10_000.001)
  }
})

test('session_wrongOptions_areRefused', async () => {
  const world = new World(7)
  const db = connect(world)
  for (const options of [{ ttl: 100 }, { ttl: '25h' }, { name: 'x'.repeat(129) }]) {
    expect(await failed(db.session(options))).toMatchObject({ code: 'INVALID_ARGUMENT' })
  }
  const kv = textKv(world.client(), world.ports)
  for (const options of [
    { ttl: 0 },
    { ttl: '90000h' },
    { session: -1 },
    { session: 1.5 },
    { idempotencyKey: '' },
    { idempotencyKey: 'x'.repeat(129) },
    { idempotencyKey: 'x', idempotencyTtl: 0 },
  ]) {
    expect(await failed(kv.put('k', 'v', options))).toMatchObject({ code: 'INVALID_ARGUMENT' })
  }
})

test('put_withTtl_goneAfterIt_andStaysWhenWrittenWithout', async () => {
  const world = new World(8)
  const { kv } = connect(world)
  const begun = world.now
  await world.run(kv.put('k', 'v', { ttl: '1s' }))
  await world.run(kv.put('l', 'v', { ttl: '1s' }))
  await world.run(kv.update('l', (value) => `${value}!`))
  await world.run(kv.condPut('m', undefined, 'v', { ttl: 500 }))
  const answered = world.now
  while (world.now < begun + 990) {
    const asked = world.now
    const value = await world.run(kv.get('k'))
    if (asked < begun + 1_000) expect(value).toBe('v')
    await world.pass(50)
  }
  await world.pass(answered + 1_010 - world.now)
  expect(await world.run(kv.getMany(['k', 'l', 'm']))).toEqual([undefined, 'v!', undefined])
})

test('idempotencyKey_secondProcess_getsTheFirstOnesAnswer', async () => {
  const world = new World(9)
  const options = { idempotencyKey: 'order 7' }
  const first = world.client()
  const put = textKv(first, world.ports).put('order', 'paid', options)
  // It dies with its answer on the way.
  while (first.submitted === 0 || world.driven.index === 0) await world.pass(1)
  first.crash()
  void put
  const { kv } = connect(world)
  const again = await world.run(kv.put('order', 'paid', options))
  expect(again).toEqual({ key: 'order', value: 'paid', version: 1 })
  await world.run(kv.put('order', 'shipped'))
  expect(await world.run(kv.put('order', 'paid', options))).toEqual(again)
  expect(await world.run(kv.get('order'))).toBe('shipped')
  expect(await world.run(failed(kv.put('order', 'lost', options)))).toMatchObject({
    code: 'IDEMPOTENCY_CONFLICT',
    outcome: 'not-applied',
    retryable: false,
  })
})

test('idempotencyKey_onEveryWrite_writesOnce', async () => {
  const world = new World(10)
  const { kv } = connect(world)
  const count = (value: string | undefined) => String(Number(value ?? '0') + 1)
  const updated = await world.run(kv.update('n', count, { idempotencyKey: 'u' }))
  expect(await world.run(kv.update('n', count, { idempotencyKey: 'u' }))).toEqual(updated)
  expect(await world.run(kv.get('n'))).toBe('1')
  const swapped = await world.run(kv.condPut('n', '1', 'x', { idempotencyKey: 'c' }))
  expect(swapped).toMatchObject({ ok: true })
  expect(await world.run(kv.condPut('n', '1', 'x', { idempotencyKey: 'c' }))).toEqual(swapped)
  const deleted = await world.run(kv.delete('n', { idempotencyKey: 'd' }))
  expect(deleted).toMatchObject({ existed: true })
  await world.run(kv.put('n', 'again'))
  expect(await world.run(kv.delete('n', { idempotencyKey: 'd' }))).toEqual(deleted)
  expect(await world.run(kv.update('n', () => undefined, { idempotencyKey: 'e' }))).toBeUndefined()
  await world.run(kv.put('n', 'kept'))
  expect(await world.run(kv.update('n', () => 'no', { idempotencyKey: 'e' }))).toBeUndefined()
  expect(await world.run(kv.get('n'))).toBe('kept')
  // Kept for its time.
  await world.run(kv.put('s', '1', { idempotencyKey: 's', idempotencyTtl: '1s' }))
  await world.pass(1_100)
  expect(await world.run(kv.put('s', '2', { idempotencyKey: 's' }))).toMatchObject({ value: '2' })
})

test('dbClose_storeSilent_waitsASecond_timeoutAndSignalCutThatShort', async () => {
  const aborted = AbortSignal.abort('now')
  const cases = [
    [undefined, 1_000],
    [{ timeout: 100 }, 100],
    [{ signal: aborted }, 0],
  ] as const
  for (const [options, wantedMs] of cases) {
    const world = new World(20)
    const clerk = world.client()
    const db = new Db(clerk, world.ports)
    const session = await world.run(db.session())
    clerk.delayMs = 1_000_000
    const begun = world.now
    await world.run(db.close(options))
    expect(world.now - begun).toBe(wantedMs)
    expect(session.signal.aborted).toBe(true)
  }
})
