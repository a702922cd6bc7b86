// Large messages go in two parts: what precedes the tail, and the tail as it is.
import { encodeHead, encodeMessage, tailOf, type BulkMessage } from '@coppice/protocol'
import { nodeText } from '@coppice/runtime'
import { expect, test } from 'vitest'

const bytes = Uint8Array.from({ length: 300 }, (_, i) => i)

const MESSAGES: readonly BulkMessage[] = [
  { kind: 'append', epoch: 3, prevIndex: 8, prevEntryEpoch: 2, commitIndex: 7, record: bytes },
  { kind: 'logChunk', token: 5, from: 2, next: 9, end: true, records: bytes },
  {
    kind: 'snapshotChunk',
    token: 6,
    snapshotId: 's1.9.x',
    index: 9,
    lineage: [
      [0, 0],
      [1, 1],
    ],
    chunk: 1,
    chunks: 4,
    totalBytes: 999,
    crc: 12345,
    bytes,
  },
  { kind: 'changes', watchId: 7, epoch: 3, next: 9, changes: { buffer: bytes, start: 0, end: bytes.length } },
]

test.each(MESSAGES)('encodeHead_ofA_$kind_andItsTail_areTheMessage', (message) => {
  const head = encodeHead(message, nodeText)
  const tail = tailOf(message)!
  expect(tail).toEqual(bytes)
  expect(tail.buffer).toBe(bytes.buffer)
  expect(Buffer.concat([head, tail])).toEqual(Buffer.from(encodeMessage(message, nodeText)))
})

test('tailOf_aMessageWithoutOne_isUndefined', () => {
  expect(tailOf({ kind: 'commit', epoch: 1, commitIndex: 1, nextIndex: 1 })).toBeUndefined()
})
