// A member that returns receives what it lacks and no more; and however it caught up, it is the same as the others: state with its versions,
// and what it answers to requests that were executed before (PROTOCOL 5, 6).
import type { LogChunkMessage, RepliesMessage, SnapshotChunkMessage } from '@coppice/protocol'
import { describe, expect, it } from 'vitest'
import { packed } from './harness/clerk.js'
import { addAll, change, startCluster } from './harness/setup.js'
import type { Setup } from './harness/setup.js'

const STATE_OPERATIONS = 3_000
const ADD_TO_KEY_1 = Uint8Array.of(1, 1)

function addMany(s: Setup, count: number): void {
  for (let n = 0; n < count; n += 100)
    addAll(
      s,
      Array.from({ length: Math.min(100, count - n) }, (_, i) => i % 50),
    )
}

/** Bytes that were shipped to `id` in transfers so far. */
function shippedTo(s: Setup, id: string): number {
  let bytes = 0
  for (const { to, message } of s.c.sent) {
    if (to !== id) continue
    if (message.kind === 'logChunk') bytes += (message as LogChunkMessage).records.length
    if (message.kind === 'snapshotChunk') bytes += (message as SnapshotChunkMessage).bytes.length
  }
  return bytes
}

/** `c` is away while `missing` operations are executed, and comes back. */
function leaveAndReturn(missing: number, snapshotEveryBytes = 1e9): { s: Setup; how: string; bytes: number } {
  const s = startCluster({ snapshotEveryBytes, changeLogBytes: 2_000 })
  addMany(s, STATE_OPERATIONS)
  s.c.run(300)
  s.c.crash('c')
  change(s, ['a', 'b'])
  if (missing > 0) addMany(s, missing)
  s.c.run(500)
  const before = shippedTo(s, 'c')
  s.c.start('c')
  s.c.run(100)
  change(s, ['a', 'b', 'c'], 10_000)
  return { s, how: s.config.how.get('c')!, bytes: shippedTo(s, 'c') - before }
}

/** Sends a request again that was executed long ago; answers what the primary says. */
function askAgain(s: Setup, primary: string, requestId: number): RepliesMessage {
  s.clerk.replies.length = 0
  const again = { clerkId: s.clerk.clerkId, firstRequestId: requestId, firstIncomplete: requestId, count: 1 }
  s.c.client(primary, s.clerk.connection, { kind: 'requests', ...again, ops: packed([ADD_TO_KEY_1]) })
  s.c.run(200)
  return s.clerk.replies.find((m) => m.kind === 'replies') as RepliesMessage
}

function bytesOf({ replies }: RepliesMessage): Uint8Array {
  return replies.buffer.slice(replies.start, replies.end)
}

function expectSame(s: Setup, lastId: number): void {
  expect(new Set(['a', 'b', 'c'].map((id) => s.c.view(id).stateHash())).size).toBe(1)
  const counters = (id: string) => [...s.c.server(id).machine.counters].sort((x, y) => x[0] - y[0])
  expect(counters('c')).toEqual(counters('a'))
  const first = bytesOf(askAgain(s, 'a', lastId))
  change(s, ['c', 'a', 'b'])
  expect(bytesOf(askAgain(s, 'c', lastId))).toEqual(first)
  expect(counters('c')).toEqual(counters('a'))
}

describe('a member that returns', () => {
  it('receives_bytes_in_proportion_to_what_it_lacks', () => {
    const [none, few, many] = [0, 100, 1_000].map((k) => leaveAndReturn(k))
    expect([none!.how, few!.how, many!.how]).toEqual(['none', 'delta', 'delta'])
    expect(none!.bytes).toBe(0)
    expect(few!.bytes).toBeGreaterThan(0)
    const ratio = many!.bytes / few!.bytes
    expect(ratio).toBeGreaterThan(9)
    expect(ratio).toBeLessThan(11)
  })

  it.each([
    ['none', 0, 1e9],
    ['delta', 100, 1e9],
    ['full', 1_000, 2_000],
  ])('is_the_same_as_the_others_after_%s', (how, missing, snapshotEveryBytes) => {
    const returned = leaveAndReturn(missing, snapshotEveryBytes)
    expect(returned.how).toBe(how)
    expectSame(returned.s, STATE_OPERATIONS + missing)
  })
})
