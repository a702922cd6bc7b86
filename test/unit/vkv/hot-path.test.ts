// Plain gets and puts by their short way: what they take and give is what the longer way took and gave.
import { expect, test } from 'vitest'
import { MAX_KEY_BYTES } from '@coppice/protocol'
import { textKv, type Codec } from '@coppice/vkv/core'
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
