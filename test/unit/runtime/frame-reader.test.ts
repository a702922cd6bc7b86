// What comes over a WebSocket, cut into reads anywhere: whole binary frames come out, and from the first that is
// none on everything goes to ws untouched.
import { crc32 } from 'node:zlib'
import { MAX_FRAME_BYTES } from '@coppice/protocol'
import { expect, test } from 'vitest'
import { FrameReader } from '../../../packages/runtime/src/frame-reader.js'
import { Prng } from '../../../packages/sim/src/kernel/prng.js'

const BINARY = 0x82
const TEXT = 0x81
const PING = 0x89

/** One WebSocket frame (RFC 6455, section 5.2). */
function frame(first: number, payload: Uint8Array, mask?: readonly [number, number, number, number]): Uint8Array {
  const n = payload.length
  const head = [first]
  const bit = mask === undefined ? 0 : 0x80
  if (n < 126) head.push(bit | n)
  else if (n < 65_536) head.push(bit | 126, n >> 8, n & 255)
  else head.push(bit | 127, 0, 0, 0, 0, (n >>> 24) & 255, (n >> 16) & 255, (n >> 8) & 255, n & 255)
  if (mask !== undefined) head.push(...mask)
  return Uint8Array.from([...head, ...payload.map((byte, i) => (mask === undefined ? byte : byte ^ mask[i % 4]!))])
}

function payloadOf(n: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: n }, (_, i) => (i * 7 + seed) & 255)
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}

/** Comparing large arrays element by element takes its time. */
function hashOf(bytes: Uint8Array): string {
  return `${bytes.length}:${crc32(bytes)}`
}

/** Pushes `bytes` cut at `cuts`, through one buffer that is overwritten after each push, as the sockets' is. */
function read(
  masked: boolean,
  bytes: Uint8Array,
  cuts: readonly number[],
): { frames: Uint8Array[]; passed: Uint8Array } {
  const frames: Uint8Array[] = []
  const passed: Uint8Array[] = []
  const reader = new FrameReader(
    masked,
    (each) => frames.push(each.slice()),
    (each) => passed.push(each),
  )
  const ends = [...new Set(cuts), bytes.length].sort((a, b) => a - b)
  let at = 0
  for (const end of ends) {
    const buffer = bytes.slice(at, end)
    reader.push(buffer)
    buffer.fill(0xee)
    at = end
  }
  return { frames, passed: concat(passed) }
}

test('frames_cutAnywhere_areTheSameFrames', () => {
  const random = new Prng(7)
  const lengths = [0, 1, 2, 125, 126, 127, 300, 5_000, 65_535, 65_536, MAX_FRAME_BYTES]
  for (const masked of [true, false]) {
    const payloads = lengths.map(payloadOf)
    const bytes = concat(payloads.map((each) => frame(BINARY, each, masked ? [0, 0, 0, 0] : undefined)))
    const expected = payloads.map(hashOf)
    for (let run = 0; run < 60; run++) {
      const cuts = Array.from({ length: 1 + random.int(200) }, () => random.int(bytes.length))
      const { frames, passed } = read(masked, bytes, cuts)
      expect(frames.map(hashOf)).toEqual(expected)
      expect(passed.length).toBe(0)
    }
  }
})

test('smallFrames_readByteByByte_areTheSameFrames', () => {
  const payloads = [0, 1, 125, 126, 200].map(payloadOf)
  const bytes = concat(payloads.map((each) => frame(BINARY, each, [0, 0, 0, 0])))
  const { frames } = read(true, bytes, [...bytes.keys()])
  expect(frames).toEqual(payloads)
})

test('whatIsNoWholeBinaryFrame_goesToWs_asItCame_withAllThatFollows', () => {
  const random = new Prng(8)
  const good = frame(BINARY, payloadOf(40, 1))
  const unusual = [
    frame(TEXT, payloadOf(300, 2)),
    frame(PING, payloadOf(4, 3)),
    frame(0x02, payloadOf(10, 4)), // a fragment
    frame(0x80, payloadOf(10, 5)), // an end without a beginning
    frame(0xc2, payloadOf(10, 6)), // a reserved bit
    frame(0x88, payloadOf(0, 6)), // a close
    frame(BINARY, payloadOf(10, 7), [1, 2, 3, 4]), // a mask that masks
    frame(BINARY, payloadOf(10, 8), [0, 0, 0, 0]), // masked by a side that must not
  ]
  for (const each of unusual) {
    const passing = concat([each, good])
    const bytes = concat([good, good, passing])
    for (let run = 0; run < 20; run++) {
      const cuts = Array.from({ length: random.int(30) }, () => random.int(bytes.length))
      const { frames, passed } = read(false, bytes, cuts)
      expect(frames).toEqual([payloadOf(40, 1), payloadOf(40, 1)])
      expect(passed).toEqual(passing)
    }
  }
})

test('frameAboveTheLimit_isWsAffair_andNothingIsAllocatedForIt', () => {
  const head = Uint8Array.from([BINARY, 127, 0, 0, 1, 0, 0, 0, 0, 0, 9, 9])
  const { frames, passed } = read(false, head, [3, 9])
  expect(frames).toEqual([])
  expect(passed).toEqual(head)
})

test('endedReader_readsNothingMore_evenOfTheSameBytes', () => {
  let seen = 0
  const reader: FrameReader = new FrameReader(
    false,
    () => {
      seen++
      reader.end()
    },
    () => expect.unreachable(),
  )
  reader.push(concat([frame(BINARY, payloadOf(3, 1)), frame(BINARY, payloadOf(3, 2)), frame(TEXT, payloadOf(3, 2))]))
  reader.push(frame(BINARY, payloadOf(3, 1)))
  expect(seen).toBe(1)
})
