// The store's client over a machine in memory.
import { expect, test } from 'vitest'
import { CoppiceError, MAX_VALUE_BYTES } from '@coppice/protocol'
import { textKv } from '@coppice/vkv/core'
import { World } from './memory-clerk.js'
import { bytes } from './machine-help.js'

function setUp(): { world: World; clerk: ReturnType<World['client']>; kv: ReturnType<typeof textKv> } {
  const world = new World(1)
  const clerk = world.client()
  return { world, clerk, kv: textKv(clerk, world.ports) }
}
const failed = <T>(promise: Promise<T>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  )

test('put_thenGet_valueAndVersion', async () => {
  const { world, kv } = setUp()
  expect(await world.run(kv.put('a', 'ä'))).toEqual({ key: 'a', value: 'ä', version: 1 })
  expect(await world.run(kv.get('a'))).toBe('ä')
  expect(await world.run(kv.getEntry('a'))).toEqual({ key: 'a', value: 'ä', version: 1 })
  expect(await world.run(kv.get('b'))).toBeUndefined()
  expect(await world.run(kv.bytes.get('a'))).toEqual(bytes('ä'))
  expect(await world.run(kv.delete('a'))).toEqual({ existed: true, version: 2 })
  expect(await world.run(kv.delete('a'))).toEqual({ existed: false, version: 3 })
  expect(await world.run(kv.getMany(['b', 'a']))).toEqual([undefined, undefined])
})

test('put_ifVersion_saysWhatIsThereInstead', async () => {
  const { world, kv } = setUp()
  expect(await world.run(kv.put('a', '1', { ifVersion: 0 }))).toEqual({ ok: true, key: 'a', value: '1', version: 1 })
  const current = { key: 'a', value: '1', version: 1 }
  expect(await world.run(kv.put('a', '2', { ifVersion: 0 }))).toEqual({ ok: false, current })
  expect(await world.run(kv.delete('a', { ifVersion: 7 }))).toEqual({ ok: false, current })
  expect(await world.run(kv.delete('a', { ifVersion: 1 }))).toEqual({ ok: true, existed: true, version: 4 })
  expect(await world.run(kv.put('a', '2', { ifVersion: 1 }))).toEqual({ ok: false, current: undefined })
})

test('condPut_missingAndEmptyDiffer', async () => {
  const { world, kv } = setUp()
  expect(await world.run(kv.condPut('a', '', 'x'))).toEqual({ ok: false, current: undefined })
  expect(await world.run(kv.condPut('a', undefined, ''))).toMatchObject({ ok: true, value: '' })
  expect(await world.run(kv.condPut('a', undefined, 'x'))).toMatchObject({ ok: false, current: { value: '' } })
  expect(await world.run(kv.condPut('a', '', undefined))).toMatchObject({ ok: true })
  expect(await world.run(kv.get('a'))).toBeUndefined()
})

test('condPut_answerNotKept_askedAgain', async () => {
  const { world, clerk, kv } = setUp()
  await world.run(kv.put('a', 'large'))
  let times = 1
  clerk.onSubmit = () =>
    times-- > 0 ? new CoppiceError('too large to keep', { code: 'TOO_LARGE', outcome: 'applied' }) : undefined
  expect(await world.run(kv.condPut('a', 'other', 'next'))).toMatchObject({ ok: false, current: { value: 'large' } })
  expect(clerk.submitted).toBe(3)
})

test('sizes_checkedBeforeSending_errorNamesKeyAndSizes', async () => {
  const { world, clerk, kv } = setUp()
  const large = new Uint8Array(MAX_VALUE_BYTES + 1)
  const value = await world.run(failed(kv.bytes.put('big/one', large)))
  expect(value).toMatchObject({ code: 'TOO_LARGE', outcome: 'not-applied' })
  expect(String(value)).toContain('"big/one" has 16777217 bytes, above the limit of 16777216')
  expect(await world.run(failed(kv.get('k'.repeat(1025))))).toMatchObject({ code: 'TOO_LARGE' })
  expect(await world.run(failed(kv.put('', 'v')))).toMatchObject({ code: 'INVALID_ARGUMENT' })
  expect(await world.run(failed(kv.bytes.condPut('k', large, large)))).toMatchObject({ code: 'TOO_LARGE' })
  expect(clerk.submitted).toBe(0)
})

test('range_pagesAndLimits_inByteOrder', async () => {
  const { world, kv } = setUp()
  for (const key of ['b/2', 'a', 'b/10', 'b/1', 'c']) await world.run(kv.put(key, `<${key}>`))
  const list = async (options: Parameters<typeof kv.range>[0]) => {
    const keys: string[] = []
    for await (const entry of kv.range(options)) keys.push(entry.key)
    return keys
  }
  expect(await world.run(list({ prefix: 'b/', pageSize: 1 }))).toEqual(['b/1', 'b/10', 'b/2'])
  expect(await world.run(list({ pageSize: 2, limit: 3 }))).toEqual(['a', 'b/1', 'b/10'])
  expect(await world.run(list({ after: 'b/10' }))).toEqual(['b/2', 'c'])
  expect(await world.run(list({ prefix: 'b/', after: 'a' }))).toEqual(['b/1', 'b/10', 'b/2'])
  expect(await world.run(list({ prefix: 'x' }))).toEqual([])
})

test('getMany_moreThanAPage_askedInParts', async () => {
  const { world, kv } = setUp()
  const value = new Uint8Array(400_000).fill(7)
  const keys = ['a', 'b', 'c', 'd', 'e']
  for (const key of keys) await world.run(kv.bytes.put(key, value))
  const values = await world.run(kv.bytes.getMany([...keys, 'none']))
  expect(values.map((v) => v?.length)).toEqual([400_000, 400_000, 400_000, 400_000, 400_000, undefined])
})

test('update_concurrent_everyIncrementCounts', async () => {
  const { world, kv } = setUp()
  const one = () => kv.update('n', (n) => String(Number(n ?? '0') + 1))
  await world.run(Promise.all(Array.from({ length: 20 }, one)))
  expect(await world.run(kv.get('n'))).toBe('20')
  expect(await world.run(kv.json<number>().get('n'))).toBe(20)
})
