// Transactions, ranges and typed views as users write them, over a machine in memory.
import { expect, expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import { type CoppiceError, MAX_STORED_REPLY_BYTES } from '@coppice/protocol'
import { Db, InvalidValueError, type Kv, type KvEntry, textKv, type Written } from '@coppice/vkv/core'
import { MAX_TXN_PARTS } from '@coppice/vkv/internal'
import { World, type MemoryClerk } from './memory-clerk.js'
import { bytes } from './machine-help.js'

function setUp(): { world: World; clerk: MemoryClerk; kv: Kv } {
  const world = new World(1)
  const clerk = world.client()
  return { world, clerk, kv: textKv(clerk, world.ports) }
}
const failed = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  )
const thrown = (run: () => unknown): unknown => {
  try {
    run()
    return undefined
  } catch (error) {
    return error
  }
}

test('commit_allConditionsHold_doesItsStepsAtOneIndex', async () => {
  const { world, kv, clerk } = setUp()
  await world.run(kv.put('a', '1'))
  await world.run(kv.put('b', '2'))
  clerk.submitted = 0
  const done = await world.run(
    kv.txn().check('a', 1).if('b', { value: '2', exists: true }).put('a', '3').delete('b').get('a').get('c').commit(),
  )
  expect(done).toEqual({
    ok: true,
    version: 3,
    results: [
      { key: 'a', existed: true, version: 3 },
      { key: 'b', existed: true, version: 3 },
      // As it was before the transaction.
      { key: 'a', value: '1', version: 1 },
      undefined,
    ],
  })
  expect(clerk.submitted).toBe(1)
  expect(await world.run(kv.getMany(['a', 'b']))).toEqual(['3', undefined])
  if (done.ok) {
    expectTypeOf(done.results).toEqualTypeOf<
      [Written<string>, Written<string>, KvEntry<string, string> | undefined, KvEntry<string, string> | undefined]
    >()
  }
})

test('commit_aConditionFails_doesElseOnlyAndNamesTheKey', async () => {
  const { world, kv } = setUp()
  await world.run(kv.put('a', '1'))
  const done = await world.run(
    kv
      .txn()
      .check('a', 1)
      .if('b', { exists: true })
      .put('a', 'never')
      .else((t) => t.get('a').put('log', 'b was missing'))
      .commit(),
  )
  expect(done).toEqual({
    ok: false,
    version: 2,
    failed: 'b',
    results: [
      { key: 'a', value: '1', version: 1 },
      { key: 'log', existed: false, version: 2 },
    ],
  })
  expect(await world.run(kv.get('a'))).toBe('1')
  if (!done.ok) expectTypeOf(done.results).toEqualTypeOf<[KvEntry<string, string> | undefined, Written<string>]>()
})

test.each([
  [{ version: 1 }, true],
  [{ version: 0 }, false],
  [{ versionNot: 1 }, false],
  [{ versionBelow: 2 }, true],
  [{ versionBelow: 1 }, false],
  [{ versionAbove: 0 }, true],
  [{ versionAbove: 1 }, false],
  [{ exists: true }, true],
  [{ exists: false }, false],
  [{ value: 'v' }, true],
  [{ valueNot: 'v' }, false],
  [{ value: '' }, false],
  [{ value: 'v', versionAbove: 7 }, false],
])('if_%o_ofAPresentKey_is%s', async (condition, holds) => {
  const { world, kv } = setUp()
  await world.run(kv.put('k', 'v'))
  expect((await world.run(kv.txn().if('k', condition).put('k', 'w').commit())).ok).toBe(holds)
})

test.each([
  [{ version: 0 }, true],
  [{ versionBelow: 1 }, true],
  [{ versionAbove: 0 }, false],
  [{ exists: false }, true],
  [{ value: '' }, false],
  [{ valueNot: '' }, true],
])('if_%o_ofAMissingKey_is%s', async (condition, holds) => {
  const { world, kv } = setUp()
  expect((await world.run(kv.txn().if('k', condition).put('k', 'w').commit())).ok).toBe(holds)
})

test('txn_mistakes_refusedBeforeAnythingIsSent', async () => {
  const { world, kv, clerk } = setUp()
  const invalid = { code: 'INVALID_ARGUMENT', outcome: 'not-applied' }
  expect(thrown(() => kv.txn().put('a', '1').delete('a'))).toMatchObject(invalid)
  expect(String(thrown(() => kv.txn().put('a', '1').put('a', '2')))).toContain('"a" is written twice')
  expect(thrown(() => kv.txn().put('', '1'))).toMatchObject(invalid)
  expect(thrown(() => kv.txn().if('a', {}))).toMatchObject(invalid)
  expect(thrown(() => kv.txn().if('a', { verson: 3 } as object))).toMatchObject(invalid)
  expect(thrown(() => kv.txn().check('a', -1))).toMatchObject(invalid)
  expect(thrown(() => kv.txn().in(textKv(world.client(), world.ports)))).toMatchObject(invalid)
  const many = kv.txn()
  for (let i = 0; i <= MAX_TXN_PARTS; i++) many.get('a')
  expect(await world.run(failed(many.commit()))).toMatchObject({ code: 'TOO_LARGE', outcome: 'not-applied' })
  const large = kv.bytes
    .txn()
    .put('a', new Uint8Array(16 * 2 ** 20))
    .put('b', new Uint8Array(2 ** 21))
  expect(await world.run(failed(large.commit()))).toMatchObject({ code: 'TOO_LARGE', outcome: 'not-applied' })
  expect(clerk.submitted).toBe(0)
})

test('commit_getsFindTooMuch_typedErrorAndNothingWritten', async () => {
  const { world, kv } = setUp()
  await world.run(kv.put('large', 'x'.repeat(MAX_STORED_REPLY_BYTES)))
  const error = await world.run(failed(kv.txn().get('large').put('other', '1').commit()))
  expect(error).toMatchObject({ code: 'TOO_LARGE', outcome: 'not-applied', attempts: 1 })
  expect(await world.run(kv.get('other'))).toBeUndefined()
})

test('txn_ofAHeldLock_isFencedOnceItIsLost', async () => {
  const { world } = setUp()
  const db = new Db(world.client(), world.ports)
  const lock = await world.run(db.lock('l', { ttl: 1_000 }))
  expect((await world.run(lock.kv.txn().put('a', '1').commit())).ok).toBe(true)
  await world.run(lock.abandon())
  const other = await world.run(new Db(world.client(), world.ports).lock('l', { ttl: 1_000 }))
  expect(other.taken).toBe('expired')
  const error = await world.run(failed(db.kv.txn().in(lock.kv).put('a', '2').commit()))
  expect(error).toMatchObject({ code: 'FENCED', outcome: 'not-applied', attempts: 1 })
  expect(await world.run(db.kv.get('a'))).toBe('1')
  await world.run(other.release())
})

test('put_withTtlOrSession_endsInEitherBranch_orStays', async () => {
  const { world } = setUp()
  const db = new Db(world.client(), world.ports)
  const users = db.kv.typed(z.object({ name: z.string() }), { prefix: 'user/' })
  const session = await world.run(db.session({ ttl: '5s' }))
  const done = await world.run(
    users
      .txn()
      .put('ada', { name: 'Ada' }, { ttl: '1s' })
      .put('eve', { name: 'Eve' }, { session, ttl: '1h' })
      .in(db.kv)
      .put('log', 'both', { session: session.id })
      .put('stays', 'v', {})
      .commit(),
  )
  expect(done).toMatchObject({ ok: true, results: [{ key: 'ada' }, { key: 'eve' }, { key: 'log' }, { key: 'stays' }] })
  if (done.ok) expectTypeOf(done.results[0]).toEqualTypeOf<Written<string>>()
  const refused = await world.run(
    db.kv
      .txn()
      .if('log', { exists: false })
      .else((t) => t.put('seen', 'log', { ttl: 500 }))
      .commit(),
  )
  expect(refused).toMatchObject({ ok: false, results: [{ key: 'seen', existed: false }] })
  expect(await world.run(db.kv.get('seen'))).toBe('log')
  await world.pass(1_100)
  expect(await world.run(db.kv.getMany(['user/ada', 'seen', 'log']))).toEqual([undefined, undefined, 'both'])
  await world.run(session.close())
  expect(await world.run(db.kv.getMany(['user/eve', 'log', 'stays']))).toEqual([undefined, undefined, 'v'])
  const error = await world.run(failed(db.kv.txn().put('stays', 'w').put('log', 'again', { session }).commit()))
  expect(error).toMatchObject({ code: 'SESSION_ENDED', outcome: 'not-applied', attempts: 1 })
  expect(await world.run(db.kv.get('stays'))).toBe('v')
  await world.run(db.close())
})

test('put_wrongLifetimeOrName_refusedBeforeAnythingIsSent', async () => {
  const { world, kv, clerk } = setUp()
  const invalid = { code: 'INVALID_ARGUMENT', outcome: 'not-applied' }
  for (const options of [{ ttl: 0 }, { ttl: '20 years' }, { ttl: -1 }, { session: 0 }, { session: 1.5 }]) {
    expect(thrown(() => kv.txn().put('a', '1', options))).toMatchObject(invalid)
    expect(thrown(() => kv.txn().else((t) => t.put('a', '1', options)))).toMatchObject(invalid)
  }
  for (const options of [
    { idempotencyKey: '' },
    { idempotencyKey: 'x'.repeat(129) },
    { idempotencyKey: 'x', idempotencyTtl: 0 },
  ]) {
    expect(await world.run(failed(kv.txn().put('a', '1').commit(options)))).toMatchObject(invalid)
  }
  expect(clerk.submitted).toBe(0)
})

test('commit_underAnIdempotencyKey_secondProcessGetsTheFirstOnesAnswer', async () => {
  const world = new World(9)
  const options = { idempotencyKey: 'payment 7', idempotencyTtl: '1h' }
  const pay = (kv: Kv) =>
    kv.txn().check('order', 1).get('order').put('order', 'paid').put('code', '4711', { ttl: '5m' })
  const first = world.client()
  const kv = textKv(world.client(), world.ports)
  await world.run(kv.put('order', 'new'))
  // It dies with its answer on the way.
  void pay(textKv(first, world.ports)).commit(options)
  while (world.driven.index < 2) await world.pass(1)
  first.crash()
  await world.run(kv.put('order', 'shipped'))
  const answer = {
    ok: true,
    version: 2,
    results: [
      { key: 'order', value: 'new', version: 1 },
      { key: 'order', existed: true, version: 2 },
      { key: 'code', existed: false, version: 2 },
    ],
  }
  // Without the name it would be refused: the order has another version by now.
  expect(await world.run(pay(kv).commit(options))).toEqual(answer)
  expect(await world.run(pay(kv).commit())).toMatchObject({ ok: false, failed: 'order' })
  expect(await world.run(kv.get('order'))).toBe('shipped')
  const conflict = { code: 'IDEMPOTENCY_CONFLICT', outcome: 'not-applied', retryable: false, attempts: 1 }
  expect(await world.run(failed(pay(kv).put('more', '1').commit(options)))).toMatchObject(conflict)
  expect(await world.run(failed(kv.put('order', 'paid', options)))).toMatchObject(conflict)
  expect(await world.run(kv.get('more'))).toBeUndefined()
  await world.pass(3_600_100)
  expect(await world.run(kv.txn().put('more', '1').commit(options))).toMatchObject({ ok: true })
})

test('txn_bytesChangedAfterwards_wroteWhatWasGiven', async () => {
  const { world, kv } = setUp()
  const value = bytes('given')
  const txn = kv.bytes.txn().put('a', value)
  value.fill(0)
  await world.run(txn.commit())
  expect(await world.run(kv.get('a'))).toBe('given')
})

test('txn_awaitedByMistake_isNoPromise', async () => {
  const { kv, clerk } = setUp()
  const txn = kv.txn().put('a', '1')
  expect(await (txn as unknown)).toBe(txn)
  expect(clerk.submitted).toBe(0)
})

test('range_boundsAndDirections_likeASortedList', async () => {
  const { world, kv } = setUp()
  const keys = ['a', 'b', 'b/1', 'b/10', 'b/2', 'c', 'c/ä']
  for (const key of keys) await world.run(kv.put(key, `<${key}>`))
  const list = async (options: Parameters<typeof kv.range>[0]): Promise<string[]> => {
    const found: string[] = []
    for await (const entry of kv.range(options)) found.push(entry.key)
    return found
  }
  for (const pageSize of [1, 2, 100]) {
    expect(await world.run(list({ pageSize, reverse: true }))).toEqual([...keys].reverse())
    expect(await world.run(list({ pageSize, start: 'b', end: 'b/2' }))).toEqual(['b', 'b/1', 'b/10'])
    expect(await world.run(list({ pageSize, start: 'b', end: 'b/2', reverse: true }))).toEqual(['b/10', 'b/1', 'b'])
    expect(await world.run(list({ pageSize, after: 'b', prefix: 'b' }))).toEqual(['b/1', 'b/10', 'b/2'])
    expect(await world.run(list({ pageSize, prefix: 'b/', reverse: true, limit: 2 }))).toEqual(['b/2', 'b/10'])
    expect(await world.run(list({ pageSize, prefix: 'b/', start: 'a', end: 'z' }))).toEqual(['b/1', 'b/10', 'b/2'])
    expect(await world.run(list({ pageSize, start: 'z' }))).toEqual([])
    expect(await world.run(list({ pageSize, start: 'b', end: 'a' }))).toEqual([])
    expect(await world.run(list({ pageSize, end: '' }))).toEqual(keys)
    expect(await world.run(list({ pageSize, limit: 0 }))).toEqual([])
  }
  expect(await world.run(kv.count())).toBe(7)
  expect(await world.run(kv.count({ prefix: 'b/' }))).toBe(3)
  expect(await world.run(kv.count({ start: 'b', end: 'c' }))).toBe(4)
  expect(await world.run(kv.count({ after: 'b', end: 'b' }))).toBe(0)
  expect(thrown(() => kv.range({ limit: -1 }))).toMatchObject({ code: 'INVALID_ARGUMENT' })
  expect(thrown(() => kv.keys({ pageSize: 0 }))).toMatchObject({ code: 'INVALID_ARGUMENT' })
})

test('pages_eachWithItsIndexAndWhetherThereIsMore', async () => {
  const { world, kv } = setUp()
  for (const key of ['a', 'b', 'c']) await world.run(kv.put(key, key))
  const pages = await world.run(
    (async () => {
      const all = []
      for await (const page of kv.keys({ pageSize: 2 }).pages()) all.push(page)
      return all
    })(),
  )
  expect(pages.map(({ entries, more }) => [entries, more])).toEqual([
    [['a', 'b'], true],
    [['c'], false],
  ])
  expect(pages.every(({ index }) => Number.isSafeInteger(index))).toBe(true)
})

const User = z.object({ name: z.string(), tags: z.array(z.object({ id: z.number() })).default([]) })

test('typed_prefixAndSchema_inEveryVerb', async () => {
  const { world, kv } = setUp()
  const users = kv.typed(User, { prefix: 'user/' })
  const ada = { name: 'Ada', tags: [] }
  expect(await world.run(users.put('1', ada))).toEqual({ key: '1', value: ada, version: 1 })
  expect(JSON.parse((await world.run(kv.get('user/1')))!)).toEqual(ada)
  expect(await world.run(users.get('1'))).toEqual(ada)
  expect(await world.run(users.getEntry('1'))).toEqual({ key: '1', value: ada, version: 1 })
  await world.run(kv.put('user/2', '{"name":"Bo"}'))
  await world.run(kv.put('userx', '{}'))
  // The schema's defaults are the reader's.
  expect(await world.run(users.getMany(['1', '2', '3']))).toEqual([ada, { name: 'Bo', tags: [] }, undefined])
  const listed: string[] = []
  await world.run(
    (async () => {
      for await (const { key, value } of users.range()) listed.push(`${key}:${value.name}`)
      for await (const key of users.keys({ reverse: true, start: '2' })) listed.push(key)
      for await (const key of users.keys({ after: '1' })) listed.push(key)
    })(),
  )
  expect(listed).toEqual(['1:Ada', '2:Bo', '2', '2'])
  expect(await world.run(users.count())).toBe(2)
  const updated = await world.run(users.update('1', (user) => ({ ...user!, name: 'Ida' })))
  expect(updated).toMatchObject({ key: '1', value: { name: 'Ida' } })
  const done = await world.run(users.txn().if('1', { exists: true }).get('1').in(kv).put('user-count', '2').commit())
  expect(done).toMatchObject({ ok: true, results: [{ key: '1', value: { name: 'Ida' } }, { key: 'user-count' }] })
  expect(await world.run(users.condPut('3', undefined, ada))).toMatchObject({ ok: true, key: '3', value: ada })
  expect(await world.run(users.delete('3'))).toMatchObject({ existed: true })
  expectTypeOf(users.get('1')).resolves.toEqualTypeOf<z.output<typeof User> | undefined>()
})

test('typed_invalidValue_namesKeyAndPlace', async () => {
  const { world, kv, clerk } = setUp()
  const users = kv.typed(User, { prefix: 'user/' })
  const wrong = { name: 'Ada', tags: [{ id: 1 }, { id: 'x' }] } as unknown as z.output<typeof User>
  const expected = { code: 'INVALID_VALUE', outcome: 'not-applied', key: 'user/7', path: ['tags', 1, 'id'] }
  for (const call of [
    () => users.put('7', wrong),
    () => users.condPut('7', undefined, wrong),
    () => users.put('7', wrong, { ifVersion: 0 }),
  ]) {
    const error = (await world.run(failed(call()))) as InvalidValueError
    expect(error).toMatchObject(expected)
    expect(error).toBeInstanceOf(InvalidValueError)
    expect(error.message).toMatch(/^value of key "user\/7" is invalid at tags\[1\]\.id: /)
    expect(error.cause).toBeInstanceOf(z.ZodError)
  }
  expect(thrown(() => users.txn().put('7', wrong))).toMatchObject(expected)
  expect(clerk.submitted).toBe(0)
  await world.run(kv.put('user/8', '{"name":5}'))
  await world.run(kv.put('user/9', 'no JSON'))
  const stored = { code: 'INVALID_VALUE', key: 'user/8', path: ['name'] }
  expect(await world.run(failed(users.get('8')))).toMatchObject(stored)
  expect(await world.run(failed(users.getEntry('8')))).toMatchObject(stored)
  expect(await world.run(failed(users.getMany(['8'])))).toMatchObject(stored)
  expect(await world.run(failed(users.update('8', () => undefined)))).toMatchObject(stored)
  expect(await world.run(failed(users.txn().get('8').commit()))).toMatchObject({ ...stored, outcome: 'applied' })
  expect(await world.run(failed(users.get('9')))).toMatchObject({ code: 'INVALID_VALUE', key: 'user/9', path: [] })
  expect(await world.run(failed(kv.json().get('user/9')))).toMatchObject({ code: 'INVALID_VALUE', key: 'user/9' })
})

test('typed_schemaWithParseOnly_works', async () => {
  const { world, kv } = setUp()
  const even = {
    parse(value: unknown): number {
      if (typeof value === 'number' && value % 2 === 0) return value
      throw new RangeError('it is odd')
    },
  }
  const numbers = kv.typed(even)
  await world.run(numbers.put('n', 4))
  expect(await world.run(numbers.get('n'))).toBe(4)
  const error = (await world.run(failed(numbers.put('n', 5)))) as CoppiceError
  expect(error.message).toBe('value of key "n" is invalid: it is odd')
  expect(error.cause).toBeInstanceOf(RangeError)
})

test('typed_valueThatCouldNotBeReadAgain_isNotWritten', async () => {
  const { world, kv } = setUp()
  // A date's JSON is a string, which this schema refuses.
  const dates = kv.typed(z.object({ at: z.date() }))
  expect(await world.run(failed(dates.put('d', { at: new Date(0) })))).toMatchObject({ path: ['at'] })
  const coerced = kv.typed(z.object({ at: z.coerce.date() }))
  await world.run(coerced.put('d', { at: new Date(0) }))
  expect(await world.run(coerced.get('d'))).toEqual({ at: new Date(0) })
})

test('typed_withinTyped_prefixesAddUp', async () => {
  const { world, kv } = setUp()
  const inner = kv.typed(z.string(), { prefix: 'a/' }).typed(z.number(), { prefix: 'b/' })
  await world.run(inner.put('n', 1))
  expect(await world.run(kv.get('a/b/n'))).toBe('1')
  expect(await world.run(inner.bytes.getEntry(bytes('n')))).toEqual({ key: bytes('n'), value: bytes('1'), version: 1 })
  expect(await world.run(failed(inner.get('')))).toMatchObject({ code: 'INVALID_ARGUMENT' })
})
