// Requests of one clerk: pipelining, windows, order after a failover, the two sessions.
import { FRAGMENT_BYTES, MAX_RUN_REQUESTS } from '@coppice/protocol'
import { expect, test } from 'vitest'
import { FakeCluster, bytesOf, errorOf, textOf } from './support/fake-cluster.js'

async function connected(cluster: FakeCluster, options = {}) {
  const clerk = cluster.newClerk(options)
  await cluster.time.until(clerk.submit(bytesOf('first')))
  cluster.heard.length = 0
  return clerk
}

test('submit_calls_of_a_turn_travel_in_one_frame', async () => {
  const cluster = new FakeCluster()
  const clerk = await connected(cluster)
  const calls = Array.from({ length: 500 }, (_, i) => clerk.submit(bytesOf(`op${i}`)))
  const replies = await cluster.time.until(Promise.all(calls))
  const frames = cluster.heardOf('requests')
  expect(frames.length).toBe(1)
  expect(frames[0]!.count).toBe(500)
  expect(replies.map((r) => textOf(r).split(':')[1])).toEqual(Array.from({ length: 500 }, (_, i) => `op${i}`))
  expect(cluster.primaryModel.executed.length).toBe(501)
  await clerk.close()
})

test('submit_runs_are_bounded_in_requests_and_bytes', async () => {
  const cluster = new FakeCluster()
  const clerk = await connected(cluster, { maxInFlight: 4_096 })
  const calls = Array.from({ length: 3_000 }, (_, i) => clerk.submit(bytesOf(`n${i}`)))
  const large = Array.from({ length: 20 }, () => clerk.submit(new Uint8Array(60_000)))
  await cluster.time.until(Promise.all([...calls, ...large]))
  for (const frame of cluster.heardOf('requests')) {
    expect(frame.count).toBeLessThanOrEqual(MAX_RUN_REQUESTS)
    expect(frame.ops.end - frame.ops.start + 64).toBeLessThanOrEqual(FRAGMENT_BYTES)
  }
  await clerk.close()
})

test('submit_beyond_maxInFlight_waits_and_does_not_throw', async () => {
  const cluster = new FakeCluster()
  const clerk = await connected(cluster, { maxInFlight: 10 })
  cluster.stuck = true
  const calls = Array.from({ length: 25 }, (_, i) => clerk.submit(bytesOf(`op${i}`)))
  await cluster.time.run(50)
  expect(cluster.primaryModel.executed.length).toBe(11)
  expect(clerk.counts).toMatchObject({ queued: 15, incomplete: 10 })
  cluster.stuck = false
  cluster.commitAll()
  await cluster.time.until(Promise.all(calls))
  expect(cluster.primaryModel.executed.slice(1)).toEqual(Array.from({ length: 25 }, (_, i) => `op${i}`))
  await clerk.close()
})

test('submit_beyond_maxInFlightBytes_waits', async () => {
  const cluster = new FakeCluster()
  const clerk = await connected(cluster, { maxInFlightBytes: 1_000 })
  cluster.stuck = true
  const calls = Array.from({ length: 3 }, () => clerk.submit(new Uint8Array(600)))
  await cluster.time.run(50)
  expect(clerk.counts).toMatchObject({ queued: 2, incomplete: 1 })
  cluster.stuck = false
  cluster.commitAll()
  await cluster.time.until(Promise.all(calls))
  await clerk.close()
})

test('failover_resends_in_order_under_the_same_ids', async () => {
  const cluster = new FakeCluster()
  const clerk = await connected(cluster)
  cluster.stuck = true
  const calls: Promise<Uint8Array>[] = []
  for (let burst = 0; burst < 5; burst++) {
    for (let i = 0; i < 10; i++) calls.push(clerk.submit(bytesOf(`op${burst * 10 + i}`)))
    await cluster.time.run(1)
  }
  await cluster.time.run(20)
  const sent = cluster.heardOf('requests', 'r1').flatMap((f) => ids(f))
  cluster.killPrimary(17)
  await cluster.time.run(300)
  cluster.stuck = false
  cluster.elect(['r2', 'r3', 'r4'])
  const replies = await cluster.time.until(Promise.all(calls))
  const resent = cluster.heardOf('requests', 'r2').flatMap((f) => ids(f))
  expect(resent.slice(0, 50)).toEqual(sent)
  const all = Array.from({ length: 50 }, (_, i) => `op${i}`)
  expect(replies.map((r) => textOf(r).split(':')[1])).toEqual(all)
  expect(cluster.primaryModel.executed).toEqual(['first', ...all])
  await clerk.close()
})

test('moved_is_followed_at_once_to_the_primary_it_names', async () => {
  const cluster = new FakeCluster()
  const clerk = await connected(cluster)
  cluster.elect(['r2', 'r1', 'r3'])
  const began = cluster.time.now
  await cluster.time.until(clerk.submit(bytesOf('moved')))
  expect(cluster.heardOf('requests', 'r2').length).toBe(1)
  expect(cluster.time.now - began).toBeLessThan(20)
  await cluster.time.run(2_000)
  expect(clerk.configuration?.epoch).toBe(2)
  await clerk.close()
})

test('silence_of_a_paused_primary_leads_to_the_next_one', async () => {
  const cluster = new FakeCluster()
  const clerk = await connected(cluster)
  cluster.network.silent.add('r1:1')
  const call = clerk.submit(bytesOf('waits'))
  await cluster.time.run(500)
  cluster.elect(['r2', 'r3', 'r4'])
  expect(textOf(await cluster.time.until(call, 4_000))).toMatch(/:waits$/)
  expect(cluster.primaryModel.executed).toEqual(['first', 'waits'])
  await clerk.close()
})

test('lost_frame_is_sent_again_after_the_next_one_is_refused_out_of_order', async () => {
  const cluster = new FakeCluster()
  const clerk = await connected(cluster)
  let lose = true
  cluster.network.fate = (message) => {
    if (message.kind !== 'requests' || !lose) return [1]
    lose = false
    return []
  }
  const first = clerk.submit(bytesOf('a'))
  await cluster.time.run(1)
  const second = clerk.submit(bytesOf('b'))
  const began = cluster.time.now
  await cluster.time.until(Promise.all([first, second]))
  expect(cluster.time.now - began).toBeLessThan(100)
  expect(cluster.primaryModel.executed).toEqual(['first', 'a', 'b'])
  await clerk.close()
})

test('bulk_operation_delays_no_small_one', async () => {
  const cluster = new FakeCluster()
  const clerk = await connected(cluster)
  // A transfer that takes ten seconds.
  cluster.network.fate = (message) => [message.kind === 'requests' && message.ops.end > 1_000_000 ? 10_000 : 1]
  const bulk = clerk.submit(new Uint8Array(4_000_000), { timeoutMs: 60_000 })
  await cluster.time.run(100)
  const began = cluster.time.now
  await cluster.time.until(clerk.submit(bytesOf('small')))
  expect(cluster.time.now - began).toBeLessThan(20)
  await cluster.time.until(bulk)
  const clerkIds = new Set(cluster.heardOf('requests').map((f) => f.clerkId))
  expect(clerkIds.size).toBe(2)
  await clerk.close()
})

test('bulk_session_sends_no_whole_frame_behind_one_that_is_cut', async () => {
  const cluster = new FakeCluster()
  const clerk = await connected(cluster)
  await cluster.time.until(clerk.submit(new Uint8Array(70_000)))
  cluster.heard.length = 0
  // As on the wire: what is cut into fragments is overtaken by what is not.
  cluster.network.fate = (message) => [message.kind === 'requests' && message.ops.end > FRAGMENT_BYTES ? 50 : 1]
  const calls = [clerk.submit(new Uint8Array(2_000_000)), clerk.submit(new Uint8Array(70_000))]
  await cluster.time.until(Promise.all(calls))
  const frames = cluster.heardOf('requests')
  expect(frames.map((f) => f.ops.end > FRAGMENT_BYTES)).toEqual([true, false])
  expect(new Set(frames.map((f) => f.firstRequestId)).size).toBe(2)
  await clerk.close()
})

test('overload_is_waited_out_with_growing_pauses', async () => {
  const cluster = new FakeCluster()
  const clerk = await connected(cluster)
  const times: number[] = []
  cluster.refuse = (_, message) => {
    if (message.kind !== 'requests') return undefined
    times.push(cluster.time.now)
    return times.length <= 6 ? 'overloaded' : undefined
  }
  await cluster.time.until(Promise.all([clerk.submit(bytesOf('a')), clerk.submit(bytesOf('b'))]))
  const pauses = times.slice(1).map((t, i) => t - times[i]!)
  expect(pauses.length).toBe(6)
  expect(pauses[5]!).toBeGreaterThan(pauses[0]! * 3)
  expect(cluster.primaryModel.executed).toEqual(['first', 'a', 'b'])
  await clerk.close()
})

test('invalid_fails_that_call_alone_and_its_id_is_skipped', async () => {
  const cluster = new FakeCluster()
  const clerk = await connected(cluster)
  cluster.invalid = (op) => op === 'bad'
  const calls = ['a', 'bad', 'b', 'bad', 'c'].map((op) => clerk.submit(bytesOf(op)))
  const results = await cluster.time.until(Promise.allSettled(calls))
  expect(results.map((r) => r.status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected', 'fulfilled'])
  const error = await errorOf(calls[1]!)
  expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', outcome: 'not-applied', retryable: false })
  expect(cluster.primaryModel.executed).toEqual(['first', 'a', 'b', 'c'])
  await cluster.time.run(100)
  expect(clerk.counts.incomplete).toBe(0)
  await clerk.close()
})

test('registration_is_repeated_with_one_nonce', async () => {
  const cluster = new FakeCluster()
  const clerk = cluster.newClerk()
  let lost = 0
  cluster.network.fate = (message) => (message.kind === 'registered' && lost++ < 1 ? [] : [1])
  await cluster.time.until(clerk.submit(bytesOf('a')))
  const nonces = new Set(cluster.heardOf('register').map((m) => String(m.nonce)))
  expect(cluster.heardOf('register').length).toBeGreaterThan(1)
  expect(nonces.size).toBe(1)
  expect(cluster.primaryModel.clerks.size).toBe(1)
  await clerk.close()
})

function ids(frame: { firstRequestId: number; count: number }): number[] {
  return Array.from({ length: frame.count }, (_, i) => frame.firstRequestId + i)
}
