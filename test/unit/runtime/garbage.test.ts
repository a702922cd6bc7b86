// Whatever bytes a peer sends, decoding answers a message or a DecodeError: any other exception would stop the process.
import { DecodeError, decodeMessage, encodeMessage, type LinkKind, type Message } from '@coppice/protocol'
import { nodeText } from '@coppice/runtime'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Reassembly } from '../../../packages/runtime/src/framing.js'
import { decodeHello, decodeRefusal } from '../../../packages/runtime/src/hello.js'

const LINKS: LinkKind[] = ['config-config', 'replica-config', 'replica-replica', 'client-config', 'client-replica']
const KINDS = [0, 1, 2, 3, 4, 5, 16, 17, 18, 19, 20, 32, 33, 34, 35, 36, 48, 49, 200]

function decodesOrRefuses(decode: () => unknown): void {
  try {
    decode()
  } catch (error) {
    expect(error).toBeInstanceOf(DecodeError)
  }
}

test('randomBytes_ofAnyKind_decodeOrAreRefused', () => {
  const frame = fc.tuple(fc.constantFrom(...KINDS), fc.uint8Array({ maxLength: 120 }), fc.constantFrom(...LINKS))
  fc.assert(
    fc.property(frame, ([kind, rest, link]) => {
      decodesOrRefuses(() => decodeMessage(Uint8Array.of(kind, ...rest), link, nodeText))
    }),
    { numRuns: 5_000 },
  )
})

test('randomJson_decodesOrIsRefused', () => {
  fc.assert(
    fc.property(fc.json(), fc.constantFrom(...LINKS), (json, link) => {
      const body = nodeText.encode(json)
      decodesOrRefuses(() => decodeMessage(Uint8Array.of(0, ...body), link, nodeText))
      decodesOrRefuses(() => decodeHello(body))
      decodesOrRefuses(() => decodeRefusal(body))
    }),
    { numRuns: 500 },
  )
})

test('deepJson_isRefused', () => {
  const body = nodeText.encode('['.repeat(50_000) + ']'.repeat(50_000))
  const frame = new Uint8Array(1 + body.length)
  frame.set(body, 1)
  expect(() => decodeMessage(frame, 'config-config', nodeText)).toThrow(DecodeError)
})

test('randomFragments_assembleOrAreRefused', () => {
  const fragments = fc.array(fc.tuple(fc.constantFrom(0xf3, 0xf4, 0xf5), fc.uint8Array({ maxLength: 14 })), {
    maxLength: 12,
  })
  fc.assert(
    fc.property(fragments, (frames) => {
      const reassembly = new Reassembly()
      decodesOrRefuses(() => {
        for (const [kind, rest] of frames) reassembly.add(Uint8Array.of(kind, ...rest))
      })
    }),
    { numRuns: 2_000 },
  )
})

test('cutMessages_areRefused_orAreShorterOnes', () => {
  const messages: Message[] = [
    { kind: 'appendAck', epoch: 1, durableIndex: 5, nextIndex: 9, holds: [[7, 9]] },
    { kind: 'commit', epoch: 1, commitIndex: 5, nextIndex: 9 },
    { kind: 'pong', epoch: 1, round: 4, ok: true },
    { kind: 'logChunk', token: 1, from: 2, next: 3, end: true, records: new Uint8Array(40) },
  ]
  for (const message of messages) {
    const whole = encodeMessage(message, nodeText)
    for (let n = 0; n < whole.length; n++) {
      decodesOrRefuses(() => decodeMessage(whole.slice(0, n), 'replica-replica', nodeText))
    }
    expect(decodeMessage(whole, 'replica-replica', nodeText)).toEqual(message)
  }
})
