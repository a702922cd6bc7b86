// Fragments of big messages: every size comes out as it went in; every malformed sequence is refused in words.
import { DecodeError, FRAGMENT_BYTES, MAX_FRAME_BYTES, MAX_MESSAGE_BYTES, writeU32 } from '@coppice/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FRAME_FIRST, FRAME_LAST, FRAME_MIDDLE, Fragmenter, Reassembly } from '../../../packages/runtime/src/framing.js'

const filled = (length: number): Uint8Array => {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i += 97) bytes[i] = i % 251
  return bytes
}

function fragmentsOf(message: Uint8Array, stream = 1): Uint8Array[] {
  const fragmenter = new Fragmenter(message, stream)
  const frames: Uint8Array[] = []
  while (fragmenter.bytesLeft > 0) frames.push(fragmenter.next())
  return frames
}

const frame = (kind: number, stream: number, total: number | undefined, payload = 0): Uint8Array => {
  const bytes = new Uint8Array((total === undefined ? 5 : 9) + payload)
  bytes[0] = kind
  writeU32(bytes, 1, stream)
  if (total !== undefined) writeU32(bytes, 5, total)
  return bytes
}

test('fragments_ofAHeadAndATail_assembleToBoth', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: FRAGMENT_BYTES + 9 }), fc.integer({ min: 0, max: 9 }), (head, more) => {
      const message = filled(3 * FRAGMENT_BYTES + more)
      const fragmenter = new Fragmenter(message.slice(0, head), 7, message.slice(head))
      const reassembly = new Reassembly()
      let whole: Uint8Array | undefined
      while (fragmenter.bytesLeft > 0) whole = reassembly.add(fragmenter.next())
      expect(Buffer.compare(whole!, message)).toBe(0)
    }),
    { numRuns: 20 },
  )
})

test('fragments_ofAnyBigMessage_assembleToIt', () => {
  fc.assert(
    fc.property(fc.integer({ min: FRAGMENT_BYTES + 1, max: 5 * FRAGMENT_BYTES + 3 }), (length) => {
      const message = filled(length)
      const frames = fragmentsOf(message)
      expect(frames.every((each) => each.length <= MAX_FRAME_BYTES)).toBe(true)
      const reassembly = new Reassembly()
      const results = frames.map((each) => reassembly.add(each))
      expect(results.slice(0, -1).every((each) => each === undefined)).toBe(true)
      expect(Buffer.compare(results.at(-1)!, message)).toBe(0)
    }),
    { numRuns: 30 },
  )
})

test('fragments_ofExactMultiples_endInALastOne', () => {
  const frames = fragmentsOf(filled(2 * FRAGMENT_BYTES))
  expect(frames.map((each) => each[0])).toEqual([FRAME_FIRST, FRAME_LAST])
  const three = fragmentsOf(filled(3 * FRAGMENT_BYTES))
  expect(three.map((each) => each[0])).toEqual([FRAME_FIRST, FRAME_MIDDLE, FRAME_LAST])
})

test('messages_interleaved_assembleEachToItself', () => {
  const one = fragmentsOf(filled(3 * FRAGMENT_BYTES), 1)
  const two = fragmentsOf(filled(3 * FRAGMENT_BYTES + 5), 2)
  const reassembly = new Reassembly()
  const lengths = one.flatMap((each, i) => [each, two[i]!]).map((each) => reassembly.add(each)?.length)
  expect(lengths.filter((each) => each !== undefined)).toEqual([3 * FRAGMENT_BYTES])
  expect(reassembly.add(two[3]!)?.length).toBe(3 * FRAGMENT_BYTES + 5)
})

test('malformedFragments_areRefusedInWords', () => {
  const refused: [string, Uint8Array[], RegExp][] = [
    ['not begun', [frame(FRAME_MIDDLE, 1, undefined, 10)], /which was not begun/],
    ['begun twice', [frame(FRAME_FIRST, 1, 500, 1), frame(FRAME_FIRST, 1, 500, 1)], /begun twice/],
    ['too big', [frame(FRAME_FIRST, 1, MAX_MESSAGE_BYTES + 1)], /above the limit/],
    ['too many', [1, 2, 3, 4, 5].map((stream) => frame(FRAME_FIRST, stream, 500, 1)), /more than 4 messages/],
    ['too long', [frame(FRAME_FIRST, 1, 10, 8), frame(FRAME_MIDDLE, 1, undefined, 3)], /more fragments than that/],
    ['too short', [frame(FRAME_FIRST, 1, 10, 8), frame(FRAME_LAST, 1, undefined, 1)], /ended after 9/],
    ['cut header', [new Uint8Array([FRAME_FIRST, 1, 0])], /beyond the end/],
  ]
  for (const [name, frames, words] of refused) {
    const reassembly = new Reassembly()
    const feed = () => frames.forEach((each) => reassembly.add(each))
    expect(feed, name).toThrow(words)
    expect(feed, name).toThrow(DecodeError)
  }
})

test('announcedBytes_areBoundedOverAllMessages', () => {
  const reassembly = new Reassembly()
  reassembly.add(frame(FRAME_FIRST, 1, MAX_MESSAGE_BYTES))
  reassembly.add(frame(FRAME_FIRST, 2, MAX_MESSAGE_BYTES))
  expect(() => reassembly.add(frame(FRAME_FIRST, 3, 1))).toThrow(DecodeError)
})
