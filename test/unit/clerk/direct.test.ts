// The hot path: operations written into the clerk's memory, answers read where they arrived; and what keeps it cheap: reads under way in
// places, deadlines in the order of their calls.
import { EMPTY_BYTES } from '@coppice/protocol'
import { type Clerk, type Decode, directOf } from '@coppice/clerk/core'
import { expect, test } from 'vitest'
import { newCall } from '../../../packages/clerk/src/client/call.js'
import { SentReads } from '../../../packages/clerk/src/client/sent-reads.js'
import { FakeCluster, FakeSignal, bytesOf, errorOf } from './support/fake-cluster.js'

const decodeText: Decode<string, string> = (buffer, start, end, mark) =>
  mark + String.fromCharCode(...buffer.subarray(start, end))

/** Writes `text`, with more room asked for than it needs. */
function written(clerk: Clerk, what: 'operations' | 'queries', text: string): number {
  const space = clerk.direct[what]
  const at = space.begin(3 * text.length)
  for (let i = 0; i < text.length; i++) space.buffer[at + i] = text.charCodeAt(i)
  return at + text.length
}
const submit = (clerk: Clerk, text: string) =>
  clerk.direct.submit(written(clerk, 'operations', text), decodeText, `${text}:`)
const read = (clerk: Clerk, text: string) => clerk.direct.read(written(clerk, 'queries', text), decodeText, `${text}:`)

test('direct_calls_of_a_turn_travel_in_one_frame_in_their_order', async () => {
  const cluster = new FakeCluster()
  const clerk = cluster.newClerk()
  await cluster.time.until(submit(clerk, 'warm'))
  cluster.heard.length = 0
  const names = Array.from({ length: 200 }, (_, i) => `op${i}`)
  const replies = await cluster.time.until(Promise.all(names.map((name) => submit(clerk, name))))
  expect(replies.every((reply, i) => reply.startsWith(`op${i}:`))).toBe(true)
  const answers = await cluster.time.until(Promise.all(names.map((name) => read(clerk, name))))
  expect(answers).toEqual(names.map((name) => `${name}:${name}`))
  expect(cluster.primaryModel.executed).toEqual(['warm', ...names])
  expect([cluster.heardOf('requests').length, cluster.heardOf('reads').length]).toEqual([1, 1])
  await clerk.close()
})

test('direct_calls_between_calls_with_bytes_keep_their_order', async () => {
  const cluster = new FakeCluster()
  const clerk = cluster.newClerk()
  const names = Array.from({ length: 100 }, (_, i) => `op${i}`)
  const calls = names.map((name, i) => (i % 3 === 0 ? clerk.submit(bytesOf(name)) : submit(clerk, name)))
  // Begun and left: the next one is written over it.
  written(clerk, 'operations', 'never sent')
  calls.push(submit(clerk, 'last'))
  await cluster.time.until(Promise.all<unknown>(calls))
  expect(cluster.primaryModel.executed).toEqual([...names, 'last'])
  await clerk.close()
})

test('direct_calls_are_sent_again_after_a_failover_and_executed_once', async () => {
  const cluster = new FakeCluster()
  const clerk = cluster.newClerk()
  await cluster.time.until(submit(clerk, 'warm'))
  cluster.stuck = true
  // More than one chunk of memory, some operations with memory of their own.
  const names = Array.from({ length: 60 }, (_, i) => `${i}.`.repeat(i % 10 === 0 ? 5_000 : 800))
  const calls = names.map((name) => submit(clerk, name))
  await cluster.time.run(10)
  cluster.killPrimary(25)
  cluster.stuck = false
  cluster.elect(['r2', 'r3'])
  // Written while the others wait: their bytes must not move under them.
  const later = submit(clerk, 'later')
  await cluster.time.until(Promise.all([...calls, later]))
  // The model keeps the beginnings.
  expect(cluster.primaryModel.executed).toEqual(['warm', ...names.map((name) => name.slice(0, 64)), 'later'])
  await clerk.close()
})

test('direct_decoder_that_throws_fails_its_own_call_only', async () => {
  const cluster = new FakeCluster()
  const clerk = cluster.newClerk()
  const wrong = clerk.direct.submit(
    written(clerk, 'operations', 'a'),
    () => {
      throw new TypeError('not mine')
    },
    undefined,
  )
  const failed = expect(wrong).rejects.toThrow('not mine')
  const right = submit(clerk, 'b')
  await cluster.time.until(right)
  await failed
  expect(cluster.primaryModel.executed).toEqual(['a', 'b'])
  expect(clerk.counts).toMatchObject({ open: 0, incomplete: 0, fates: 0 })
  await clerk.close()
})

test('direct_decoder_that_aborts_its_call_is_too_late', async () => {
  const cluster = new FakeCluster()
  const clerk = cluster.newClerk()
  const signal = new FakeSignal()
  const decode = () => {
    signal.abort('now')
    return 'done'
  }
  const call = clerk.direct.submit(written(clerk, 'operations', 'a'), decode, undefined, { signal })
  expect(await cluster.time.until(call)).toBe('done')
  expect(clerk.counts).toMatchObject({ open: 0, signals: 0, incomplete: 0 })
  await clerk.close()
})

test('usual_timeout_ends_calls_of_every_kind_and_leaves_no_timer', async () => {
  const cluster = new FakeCluster()
  const clerk = cluster.newClerk({ timeoutMs: 300 })
  await cluster.time.until(submit(clerk, 'warm'))
  cluster.stuck = true
  const first = submit(clerk, 'a')
  const error = errorOf(first)
  await cluster.time.run(200)
  const second = errorOf(read(clerk, 'q'))
  const began = cluster.time.now
  await cluster.time.until(error)
  expect(cluster.time.now - began).toBeLessThanOrEqual(120)
  expect(await error).toMatchObject({ code: 'TIMEOUT', outcome: 'unknown', attempts: 1 })
  expect(clerk.counts.open).toBe(1)
  expect(await cluster.time.until(second)).toMatchObject({ code: 'TIMEOUT', outcome: 'not-applied' })
  expect(cluster.time.now - began).toBeGreaterThanOrEqual(300)
  cluster.stuck = false
  await clerk.close()
  await cluster.time.run(10_000)
  expect(cluster.time.pending).toBe(0)
  expect(clerk.counts.open).toBe(0)
})

test('hold_is_taken_and_given_back_once_however_many_calls_follow_each_other', async () => {
  const cluster = new FakeCluster()
  const held: boolean[] = []
  const clerk = cluster.newClerk({}, (busy) => held.push(busy))
  const chain = async (): Promise<void> => {
    for (let i = 0; i < 10; i++) await submit(clerk, `op${i}`)
  }
  await cluster.time.until(chain())
  await cluster.time.settle()
  expect(held).toEqual([true, false])
  const open = errorOf(submit(clerk, 'open'))
  await clerk.close()
  await open
  expect(held).toEqual([true, false, true, false])
})

test('directOf_a_clerk_without_hot_path_gives_bytes_to_it', async () => {
  const cluster = new FakeCluster()
  const clerk = cluster.newClerk()
  const plain = {
    submit: (operation: Uint8Array) => clerk.submit(operation),
    read: (query: Uint8Array) => clerk.read(query),
  } as Clerk
  const direct = directOf(plain)
  const at = direct.queries.begin(1)
  direct.queries.buffer[at] = 113
  expect(await cluster.time.until(direct.read(at + 1, decodeText, '='))).toBe('=q')
  await clerk.close()
})

test('sentReads_find_what_is_old_and_what_was_sent_again', () => {
  const owner = { withdraw: () => 'unknown' as const, lastWord: () => '' }
  const callWith = (id: number) => {
    const { call } = newCall(owner, EMPTY_BYTES)
    call.id = id
    return call
  }
  const sent = new SentReads()
  const old = callWith(7)
  const newer = callWith(7 + 4_096)
  sent.add(old)
  sent.add(newer)
  expect([sent.get(7), sent.get(7 + 4_096), sent.get(7 + 2 * 4_096)]).toEqual([old, newer, undefined])
  sent.keepEarlier(newer)
  newer.id = 9_000
  sent.add(newer)
  expect([sent.get(7 + 4_096), sent.get(9_000)]).toEqual([newer, newer])
  expect(sent.entries().map(([id]) => id)).toEqual([7, 7 + 4_096, 9_000])
  sent.delete(7)
  sent.delete(7 + 4_096)
  sent.delete(9_000)
  expect(sent.entries()).toEqual([])
})
