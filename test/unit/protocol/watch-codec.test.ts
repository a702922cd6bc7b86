// Messages of watches as bytes: what was said is heard, and garbage is refused as garbage.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  DecodeError,
  decodeMessage,
  encodeMessage,
  MAX_TOPIC_BYTES,
  readChanges,
  writeChangeHeader,
} from '@coppice/protocol'
import type { ChangesMessage, Message, WatchMessage } from '@coppice/protocol'
import { nodeText } from '@coppice/runtime'

const link = 'client-replica'
const index = fc.integer({ min: 0, max: 2 ** 53 - 1 })
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const byte = fc.integer({ min: 0, max: 255 })

const change = fc.record({
  index,
  stream: byte,
  kind: byte,
  topic: fc.uint8Array({ maxLength: 40 }),
  payload: fc.uint8Array({ maxLength: 200 }),
})
type AnyChange = typeof change extends fc.Arbitrary<infer T> ? T : never

function packed(changes: readonly AnyChange[]): { buffer: Uint8Array; start: number; end: number } {
  const parts = changes.map(({ index: i, stream, kind, topic, payload }) => {
    const b = new Uint8Array(18 + topic.length + payload.length)
    writeChangeHeader(b, 0, i, stream, kind, topic.length, payload.length)
    b.set(topic, 18)
    b.set(payload, 18 + topic.length)
    return b
  })
  const buffer = new Uint8Array(Buffer.concat(parts))
  return { buffer, start: 0, end: buffer.length }
}

const simple: fc.Arbitrary<Message> = fc.oneof(
  fc.record({
    kind: fc.constant('watch' as const),
    watchId: index,
    stream: byte,
    exact: fc.boolean(),
    from: index,
    credit: fc.integer({ min: 0, max: 16 * 1024 * 1024 }),
    topic: fc.uint8Array({ maxLength: 100 }),
  }),
  fc.record({ kind: fc.constant('unwatch' as const), watchId: index }),
  fc.record({ kind: fc.constant('credit' as const), watchId: index, bytes: index }),
  fc.record({
    kind: fc.constant('watchEnd' as const),
    watchId: index,
    epoch: u32,
    reason: fc.constantFrom('compacted' as const, 'moved' as const, 'overloaded' as const),
    floor: index,
  }),
)

test('encode_decode_isTheSame', () => {
  fc.assert(
    fc.property(simple, (message) => {
      const bytes = new Uint8Array(encodeMessage(message, nodeText))
      expect(decodeMessage(bytes, link, nodeText)).toEqual(message)
    }),
  )
})

test('changes_encode_decode_areTheSame', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20 }), index, (list, next) => {
      const inOrder = [...list].sort((a, b) => a.index - b.index)
      const message = { kind: 'changes' as const, watchId: 7, epoch: 3, next, changes: packed(inOrder) }
      const heard = decodeMessage(new Uint8Array(encodeMessage(message, nodeText)), link, nodeText) as ChangesMessage
      expect(heard).toMatchObject({ kind: 'changes', watchId: 7, epoch: 3, next })
      const { buffer, start, end } = heard.changes
      const read = readChanges(buffer, start, end)
      expect(read.map((change) => ({ ...change, size: undefined }))).toEqual(inOrder)
      expect(read.reduce((sum, { size }) => sum + size, 0)).toBe(end - start)
    }),
  )
})

test('cut_or_changed_bytes_areDecodeErrorsOrAnotherMessage', () => {
  const changes = packed([{ index: 5, stream: 0, kind: 1, topic: Uint8Array.of(1, 2), payload: Uint8Array.of(3) }])
  const whole = new Uint8Array(encodeMessage({ kind: 'changes', watchId: 7, epoch: 3, next: 6, changes }, nodeText))
  for (let n = 1; n < whole.length; n++) {
    // Without any change it is a whole message.
    if (n === 21) continue
    expect(() => decodeMessage(whole.slice(0, n), link, nodeText)).toThrow(DecodeError)
  }
  fc.assert(
    fc.property(fc.nat(whole.length - 1), byte, (at, value) => {
      const broken = whole.slice()
      broken[at] = value
      try {
        decodeMessage(broken, link, nodeText)
      } catch (error) {
        expect(error).toBeInstanceOf(DecodeError)
      }
    }),
  )
})

test('changes_out_of_order_areRefused', () => {
  const one = { stream: 0, kind: 0, topic: Uint8Array.of(1), payload: Uint8Array.of() }
  const changes = packed([
    { index: 6, ...one },
    { index: 5, ...one },
  ])
  const bytes = new Uint8Array(encodeMessage({ kind: 'changes', watchId: 7, epoch: 3, next: 7, changes }, nodeText))
  expect(() => decodeMessage(bytes, link, nodeText)).toThrow(DecodeError)
})

test('topic_and_window_above_their_limits_areRefused', () => {
  const watch: WatchMessage = {
    kind: 'watch',
    watchId: 1,
    stream: 0,
    exact: true,
    topic: new Uint8Array(1),
    from: 0,
    credit: 0,
  }
  const heard = (message: WatchMessage): Message =>
    decodeMessage(new Uint8Array(encodeMessage(message, nodeText)), link, nodeText)
  expect(() => heard({ ...watch, topic: new Uint8Array(MAX_TOPIC_BYTES + 1) })).toThrow('topic')
  expect(() => heard({ ...watch, credit: 2 ** 40 })).toThrow('window')
})
