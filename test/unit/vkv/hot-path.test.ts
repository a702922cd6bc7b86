// Plain gets and puts by their short way: what they take and give is what the longer way took and gave.
import { expect, test } from 'vitest'
import { MAX_KEY_BYTES } from '@coppice/protocol'
import { type Codec, textKv } from '@coppice/vkv/core'
import { copyOfRange } from '../../../packages/vkv/src/client/copies.js'
import { bytes } from './machine-help.js'
import { World } from './memory-clerk.js'

function setUp(): { world: World; kv: ReturnType<typeof textKv> } {
  const world = new World(1)
  return { world, kv: textKv(world.client(), world.ports) }
}

test.each([
  ['short', 'a', 'b'],
  ['not ASCII', 'schlüssel', 'größe'],
  ['a value that is not ASCII', 'key', '→'],
  ['a long value', 'key', 'x'.repeat(1_000)],
  ['a long value that is not ASCII', 'key', 'é'.repeat(100_000)],
  ['an empty value', 'key', ''],
  ['the longest key', 'k'.repeat(MAX_KEY_BYTES), 'v'],
])('put_thenGet_%s', async (_, key, value) => {
  const { world, kv } = setUp()
  expect(await world.run(kv.put(key, value))).toEqual({ key, value, version: 1 })
  expect(await world.run(kv.get(key))).toBe(value)
  expect(await world.run(kv.get(bytes(key)))).toBe(value)
  expect(await world.run(kv.bytes.put(key, bytes(value)))).toEqual({ key: bytes(key), value: bytes(value), version: 2 })
  expect(await world.run(kv.bytes.get(key))).toEqual(bytes(value))
})

test('put_keyThatIsNoUnicode_givesWhatIsThere', async () => {
  const { world, kv } = setUp()
  expect(await world.run(kv.put('\ud800', 'v'))).toEqual({ key: '\ufffd', value: 'v', version: 1 })
})

test.each(['', 'k'.repeat(MAX_KEY_BYTES + 1), 'é'.repeat(MAX_KEY_BYTES)])(
  'badKey_rejects_doesNotThrow',
  async (key) => {
    const { world, kv } = setUp()
    const code = key === '' ? 'INVALID_ARGUMENT' : 'TOO_LARGE'
    const calls = [() => kv.get(key), () => kv.put(key, 'v'), () => kv.get(bytes(key)), () => kv.json().put(key, 1)]
    for (const call of calls) {
      const error = await world.run<unknown>(call().catch((e: unknown) => e))
      expect(error).toMatchObject({ code, outcome: 'not-applied' })
    }
  },
)

test('put_bytes_answerIsACopy_ofBuffersABuffer', async () => {
  const { world, kv } = setUp()
  const value = Uint8Array.from({ length: 100 }, (_, i) => i)
  const put = await world.run(kv.bytes.put('a', value))
  expect(put.value).not.toBe(value)
  expect(put.value).toEqual(value)
  const buffer = Buffer.from('text')
  expect((await world.run(kv.bytes.put('a', buffer))).value.toString()).toBe('text')
})

test('json_valuesThroughText', async () => {
  const { world, kv } = setUp()
  const store = kv.json<unknown>()
  for (const value of [1, 'ü', { a: ['x'.repeat(200)] }, null]) {
    expect(await world.run(store.put('k', value))).toMatchObject({ value })
    expect(await world.run(store.get('k'))).toEqual(value)
  }
  const error = await world.run(store.put('k', undefined).catch((e: unknown) => e))
  expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' })
})

test('ownCodec_mayKeepItsBytes_itsErrorIsTheCallers', async () => {
  const { world, kv } = setUp()
  const kept: Uint8Array[] = []
  const codec: Codec<number> = {
    encode: (value) => Uint8Array.of(value, value),
    decode: (read) => {
      if (read[0] === 9) throw new RangeError('nine')
      kept.push(read)
      return read[0]!
    },
  }
  const numbers = kv.with(codec)
  for (const value of [1, 2, 3]) {
    await world.run(numbers.put('k', value))
    expect(await world.run(numbers.get('k'))).toBe(value)
  }
  expect(kept).toEqual([1, 2, 3].map((value) => Uint8Array.of(value, value)))
  await world.run(numbers.put('k', 9))
  await expect(world.run(numbers.get('k'))).rejects.toThrow('nine')
})

test('timeoutOfACall_isItsBudget', async () => {
  const { world, kv } = setUp()
  const error = await world.run(kv.get('a', { timeout: 0 }).catch((e: unknown) => e))
  expect(error).toMatchObject({ code: 'TIMEOUT' })
  await expect(world.run(kv.put('a', 'b', { timeout: 'soon' }))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
})

test('copyOfRange_copiesAreTheirOwn', () => {
  const source = Uint8Array.from({ length: 5_000 }, (_, i) => i)
  const sizes = Array.from({ length: 400 }, (_, i) => (i * 37) % 1_500)
  const copies = sizes.map((n) => copyOfRange(source, 5, 5 + n))
  for (const [i, copy] of copies.entries()) {
    expect(copy).toEqual(source.slice(5, 5 + sizes[i]!))
    copy.fill(0xee)
  }
  expect(copies.every((copy) => copy.every((byte) => byte === 0xee))).toBe(true)
  expect(copyOfRange(Buffer.from('x'.repeat(2_000)), 0, 2_000).constructor).toBe(Uint8Array)
})

// Without types, or with a codec of one's own, anything may come.
test.each([
  ['a number', 5],
  ['nothing', undefined],
  ['null', null],
  ['an ArrayBuffer', new ArrayBuffer(4)],
  ['a DataView', new DataView(new ArrayBuffer(4))],
  ['wide numbers', new Uint16Array([1_000])],
  ['an array', ['a']],
  ['an object', {}],
])('put_%s_isRefused_andTheNextCallsGoOn', async (_, wrong) => {
  const { world, kv } = setUp()
  const own: Codec<unknown> = { encode: (value) => value as Uint8Array, decode: (read) => read }
  const calls = [
    () => kv.put('k', wrong as string),
    () => kv.bytes.put('k', wrong as Uint8Array),
    () => kv.with(own).put('k', wrong),
    () => kv.put('k', wrong as string, { ifVersion: 0 }),
    () => kv.bytes.put('k', wrong as Uint8Array, { ifVersion: 0 }),
    () => kv.put(wrong as string, 'v'),
    () => kv.bytes.put(wrong as Uint8Array, new Uint8Array(3)),
    () => kv.get(wrong as string),
    () => kv.bytes.get(wrong as Uint8Array),
    () => kv.delete(wrong as string),
  ]
  for (const call of calls) {
    const error = await world.run<unknown>(call().catch((e: unknown) => e))
    expect(error, call.toString()).toMatchObject({ code: 'INVALID_ARGUMENT', outcome: 'not-applied' })
    expect(await world.run(kv.put('a', 'b'))).toMatchObject({ key: 'a', value: 'b' })
    expect(await world.run(kv.get('a'))).toBe('b')
    expect(await world.run(kv.get('k'))).toBeUndefined()
  }
})

test.each([10, 20_000])('put_theCallerWritesOverItsBytes_of%iBytes_answerSaysWhatWasPut', async (size) => {
  const { world, kv } = setUp()
  for (const value of [
    new Uint8Array(size).fill(1),
    Buffer.alloc(size, 1),
    new Uint8Array(new SharedArrayBuffer(size)).fill(1),
    new Uint8Array(size + 8).fill(1).subarray(8),
  ]) {
    const putting = kv.bytes.put('k', value)
    value.fill(2)
    const put = await world.run(putting)
    const expected = new Uint8Array(size).fill(1)
    expect(Buffer.compare(put.value, expected)).toBe(0)
    const got = (await world.run(kv.bytes.get('k')))!
    expect(Buffer.compare(got, expected)).toBe(0)
    value.fill(3)
    expect(Buffer.compare(put.value, expected)).toBe(0)
  }
})
