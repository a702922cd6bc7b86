// What clients say while there is no core: in its order, in bytes of its own, and within bounds.
import { MAX_UNCOMMITTED_BYTES } from '@coppice/protocol'
import { expect, test } from 'vitest'
import { HeldClients, type ClientInput } from '../../../packages/replica/src/shell/held-clients.js'

function requests(connection: number, buffer: Uint8Array, start = 0): ClientInput {
  const ops = { buffer, start, end: buffer.length }
  const run = { clerkId: 1, firstRequestId: 1, firstIncomplete: 1, count: 1 }
  return { kind: 'client', connection, message: { kind: 'requests', ...run, ops } }
}

function released(held: HeldClients): ClientInput[] {
  const all: ClientInput[] = []
  held.release((input) => all.push(input))
  return all
}

test('requests_areWhatTheyWere_afterTheirBytesWereOverwritten', () => {
  const held = new HeldClients()
  const read = Uint8Array.of(9, 9, 1, 2, 3)
  held.hold(requests(1, read, 2))
  read.fill(0xee)
  expect(released(held)).toEqual([requests(1, Uint8Array.of(1, 2, 3))])
  expect(released(held)).toEqual([])
})

test('bytesAboveTheBound_areDropped_andThereIsRoomAgain_whenAClientGoes', () => {
  const held = new HeldClients()
  const quarter = new Uint8Array(MAX_UNCOMMITTED_BYTES / 4)
  for (let i = 0; i < 6; i++) held.hold(requests(1 + (i % 2), quarter))
  held.hold({ kind: 'clientGone', connection: 1 })
  held.hold(requests(3, quarter))
  expect(released(held).map((each) => each.connection)).toEqual([2, 2, 3])
  for (let i = 0; i < 4; i++) held.hold(requests(4, quarter))
  expect(released(held)).toHaveLength(4)
})
