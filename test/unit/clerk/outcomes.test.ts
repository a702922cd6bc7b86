// How calls end: timeouts and aborts at every stage with the outcome that is known there, expired sessions, close.
import { CLERK_WINDOW } from '@coppice/protocol'
import { expect, test } from 'vitest'
import { FakeCluster, FakeSignal, bytesOf, errorOf, textOf } from './support/fake-cluster.js'

test('timeout_before_any_config_server_answers_is_unavailable_and_names_each', async () => {
  const cluster = new FakeCluster()
  for (const address of cluster.configAddresses) cluster.network.servers.delete(address)
  const clerk = cluster.newClerk()
  const error = await cluster.time.until(errorOf(clerk.submit(bytesOf('a'), { timeoutMs: 500 })))
  expect(error).toMatchObject({ code: 'UNAVAILABLE', outcome: 'not-applied', retryable: true, attempts: 0 })
  for (const address of cluster.configAddresses) expect(error.message).toContain(`${address}: connection refused`)
  expect(error.requestId).toBeUndefined()
  await clerk.close()
})

test('timeout_before_the_primary_is_reached_is_not_applied', async () => {
  const cluster = new FakeCluster()
  cluster.network.kill('r1:1')
  const clerk = cluster.newClerk()
  const error = await cluster.time.until(errorOf(clerk.submit(bytesOf('a'), { timeoutMs: 700 })))
  expect(error).toMatchObject({ code: 'UNAVAILABLE', outcome: 'not-applied', epoch: 1 })
  expect(error.message).toContain('replica r1 at r1:1: connection refused')
  await clerk.close()
})

test('timeout_while_registering_is_not_applied', async () => {
  const cluster = new FakeCluster()
  cluster.stuck = true
  const clerk = cluster.newClerk()
  const error = await cluster.time.until(errorOf(clerk.submit(bytesOf('a'), { timeoutMs: 300 })))
  expect(error).toMatchObject({ code: 'TIMEOUT', outcome: 'not-applied', requestId: undefined })
  await clerk.close()
})

test('timeout_after_sending_is_unknown_and_resolve_tells_that_it_was_applied', async () => {
  const cluster = new FakeCluster()
  const clerk = cluster.newClerk()
  await cluster.time.until(clerk.submit(bytesOf('first')))
  cluster.stuck = true
  const error = await cluster.time.until(errorOf(clerk.submit(bytesOf('late'), { timeoutMs: 200 })))
  expect(error).toMatchObject({ code: 'TIMEOUT', outcome: 'unknown', retryable: false, attempts: 1, requestId: 2 })
  expect(error.clerkId).toBe(clerk.clerkId)
  const resolution = clerk.resolve(error)
  await cluster.time.run(50)
  cluster.stuck = false
  cluster.commitAll()
  const { outcome, reply } = await cluster.time.until(resolution)
  expect(outcome).toBe('applied')
  expect(textOf(reply!)).toMatch(/:late$/)
  // Remembered, by the number alone too.
  expect(await clerk.resolve(2)).toMatchObject({ outcome: 'applied' })
  await clerk.close()
})

test('timeout_of_a_lost_request_resolves_to_not_applied_and_never_runs', async () => {
  const cluster = new FakeCluster()
  const clerk = cluster.newClerk()
  await cluster.time.until(clerk.submit(bytesOf('first')))
  cluster.network.fate = (message) => (message.kind === 'requests' ? [] : [1])
  const error = await cluster.time.until(errorOf(clerk.submit(bytesOf('lost'), { timeoutMs: 200 })))
  expect(error.outcome).toBe('unknown')
  // By the Skip that follows at once, not by a repetition after silence.
  const resolution = await cluster.time.until(clerk.resolve(error), 20)
  expect(resolution).toEqual({ outcome: 'not-applied' })
  cluster.network.fate = () => [1]
  await cluster.time.until(clerk.submit(bytesOf('next')))
  expect(cluster.primaryModel.executed).toEqual(['first', 'next'])
  await clerk.close()
})

test('skip_of_an_abandoned_request_survives_a_failover', async () => {
  const cluster = new FakeCluster()
  const clerk = cluster.newClerk()
  await cluster.time.until(clerk.submit(bytesOf('first')))
  cluster.stuck = true
  const late = clerk.submit(bytesOf('late'), { timeoutMs: 100 })
  const behind = clerk.submit(bytesOf('behind'), { timeoutMs: 60_000 })
  const error = await cluster.time.until(errorOf(late))
  cluster.killPrimary(0)
  await cluster.time.run(500)
  cluster.stuck = false
  cluster.elect(['r3', 'r2'])
  await cluster.time.until(behind)
  expect(await cluster.time.until(clerk.resolve(error))).toEqual({ outcome: 'not-applied' })
  expect(cluster.primaryModel.executed).toEqual(['first', 'behind'])
  await clerk.close()
})

test('timeout_while_overloaded_says_so_and_never_runs', async () => {
  const cluster = new FakeCluster()
  const clerk = cluster.newClerk()
  await cluster.time.until(clerk.submit(bytesOf('first')))
  cluster.refuse = (_, message) => (message.kind === 'requests' ? 'overloaded' : undefined)
  const sent = await cluster.time.until(errorOf(clerk.submit(bytesOf('sent'), { timeoutMs: 100 })))
  expect(sent).toMatchObject({ code: 'OVERLOADED', outcome: 'unknown' })
  expect(await cluster.time.until(clerk.resolve(sent))).toEqual({ outcome: 'not-applied' })
  const patient = clerk.submit(bytesOf('patient'))
  // By now the pauses are longer than the next call waits: it is never put into a frame.
  await cluster.time.run(2_000)
  const frames = cluster.heardOf('requests').length
  while (cluster.heardOf('requests').length === frames) await cluster.time.run(1)
  await cluster.time.run(5)
  const waiting = await cluster.time.until(errorOf(clerk.submit(bytesOf('waiting'), { timeoutMs: 30 })))
  expect(waiting).toMatchObject({ code: 'OVERLOADED', outcome: 'not-applied', retryable: true, attempts: 0 })
  cluster.refuse = undefined
  await cluster.time.until(patient)
  await cluster.time.run(100)
  expect(cluster.primaryModel.executed).toEqual(['first', 'patient'])
  expect(clerk.counts.incomplete).toBe(0)
  await clerk.close()
})

test('abort_at_each_stage_is_an_AbortError_with_the_reason', async () => {
  const cluster = new FakeCluster()
  const clerk = cluster.newClerk()
  const before = new FakeSignal()
  before.abort('early')
  expect(await errorOf(clerk.submit(bytesOf('a'), { signal: before }))).toMatchObject({
    name: 'AbortError',
    code: 'ABORTED',
    outcome: 'not-applied',
    cause: 'early',
  })
  const queued = new FakeSignal()
  const waiting = clerk.submit(bytesOf('b'), { signal: queued })
  queued.abort('queued')
  expect(await errorOf(waiting)).toMatchObject({ name: 'AbortError', outcome: 'not-applied', cause: 'queued' })
  await cluster.time.until(clerk.submit(bytesOf('first')))
  cluster.stuck = true
  const sent = new FakeSignal()
  const flying = clerk.submit(bytesOf('c'), { signal: sent })
  await cluster.time.run(5)
  sent.abort('sent')
  expect(await errorOf(flying)).toMatchObject({ name: 'AbortError', outcome: 'unknown', cause: 'sent', requestId: 2 })
  const read = new FakeSignal()
  const reading = clerk.read(bytesOf('q'), { signal: read })
  await cluster.time.run(5)
  read.abort('read')
  expect(await errorOf(reading)).toMatchObject({ name: 'AbortError', outcome: 'not-applied', cause: 'read' })
  for (const signal of [before, queued, sent, read]) expect(signal.listeners.size).toBe(0)
  expect(cluster.primaryModel.executed).toEqual(['first', 'c'])
  await clerk.close()
})

test('one_signal_of_many_calls_has_one_listener_and_loses_it', async () => {
  const cluster = new FakeCluster()
  const clerk = cluster.newClerk()
  const signal = new FakeSignal()
  const calls = Array.from({ length: 1_000 }, () => clerk.submit(bytesOf('x'), { signal }))
  expect(signal.listeners.size).toBe(1)
  await cluster.time.until(Promise.all(calls))
  expect(signal.listeners.size).toBe(0)
  expect(clerk.counts.signals).toBe(0)
  await clerk.close()
})

test('hundred_thousand_aborted_calls_leak_nothing', async () => {
  const cluster = new FakeCluster()
  const clerk = cluster.newClerk({ maxInFlight: CLERK_WINDOW })
  await cluster.time.until(clerk.submit(bytesOf('first')))
  const signals: FakeSignal[] = []
  for (let round = 0; round < 10; round++) {
    const signal = new FakeSignal()
    signals.push(signal)
    const calls = Array.from({ length: 10_000 }, () => clerk.submit(bytesOf('x'), { signal }))
    const ended = Promise.allSettled(calls)
    await cluster.time.run(round % 3)
    signal.abort('enough')
    await cluster.time.until(ended)
  }
  await cluster.time.run(3_000)
  expect(clerk.counts).toMatchObject({ open: 0, signals: 0, queued: 0, incomplete: 0, reads: 0 })
  expect(clerk.counts.fates).toBeLessThanOrEqual(1_024)
  for (const signal of signals) expect(signal.listeners.size).toBe(0)
  expect(textOf(await cluster.time.until(clerk.submit(bytesOf('after'))))).toMatch(/:after$/)
  await clerk.close()
  expect(cluster.time.pending).toBe(0)
})

test('window_is_never_exceeded_while_abandoned_ids_wait_for_their_fate', async () => {
  const cluster = new FakeCluster()
  const clerk = cluster.newClerk()
  await cluster.time.until(clerk.submit(bytesOf('first')))
  cluster.stuck = true
  for (let round = 0; round < 8; round++) {
    const signal = new FakeSignal()
    const calls = Array.from({ length: 1_000 }, () => clerk.submit(bytesOf('x'), { signal }))
    const ended = Promise.allSettled(calls)
    await cluster.time.run(3)
    signal.abort('enough')
    await cluster.time.until(ended)
  }
  const highest = Math.max(...cluster.heardOf('requests').map((f) => f.firstRequestId + f.count - 1))
  expect(highest).toBeLessThan(2 + CLERK_WINDOW)
  expect(clerk.counts.incomplete).toBeLessThanOrEqual(CLERK_WINDOW)
  cluster.stuck = false
  cluster.commitAll()
  await cluster.time.until(clerk.submit(bytesOf('after')))
  await clerk.close()
})

test('expired_session_only_transmission_refused_is_not_applied_and_a_new_session_follows', async () => {
  const cluster = new FakeCluster()
  const clerk = cluster.newClerk()
  await cluster.time.until(clerk.submit(bytesOf('first')))
  const old = clerk.clerkId
  cluster.expireSessions()
  const error = await cluster.time.until(errorOf(clerk.submit(bytesOf('a'))))
  expect(error).toMatchObject({ code: 'SESSION_EXPIRED', outcome: 'not-applied', attempts: 1, clerkId: old })
  await cluster.time.until(clerk.submit(bytesOf('b')))
  expect(clerk.clerkId).not.toBe(old)
  expect(cluster.primaryModel.executed).toEqual(['first', 'b'])
  await clerk.close()
})

test('expired_session_of_a_request_sent_twice_is_unknown', async () => {
  const cluster = new FakeCluster()
  const clerk = cluster.newClerk()
  await cluster.time.until(clerk.submit(bytesOf('first')))
  cluster.stuck = true
  const call = clerk.submit(bytesOf('a'))
  await cluster.time.run(20)
  // It was executed and committed, its reply was lost, and the session expired before the clerk was back.
  cluster.killPrimary(1)
  cluster.committed.push({ kind: 'expire', clerkId: clerk.clerkId })
  cluster.stuck = false
  cluster.elect(['r2', 'r3'])
  const error = await cluster.time.until(errorOf(call))
  expect(error).toMatchObject({ code: 'SESSION_EXPIRED', outcome: 'unknown', attempts: 2, retryable: false })
  expect(await clerk.resolve(error)).toEqual({ outcome: 'unknown' })
  expect(cluster.primaryModel.executed).toEqual(['first', 'a'])
  await clerk.close()
})

test('out_of_contact_for_most_of_the_ttl_fails_open_calls_as_unknown', async () => {
  const cluster = new FakeCluster()
  const params = { ...cluster.configuration.params, clerkTtlMs: 10_000 }
  cluster.configuration = { ...cluster.configuration, params }
  const clerk = cluster.newClerk()
  await cluster.time.until(clerk.submit(bytesOf('first')))
  const began = cluster.time.now
  cluster.stuck = true
  const error = await cluster.time.until(errorOf(clerk.submit(bytesOf('a'), { timeoutMs: 60_000 })))
  expect(error).toMatchObject({ code: 'SESSION_EXPIRED', outcome: 'unknown' })
  expect(cluster.time.now - began).toBeGreaterThanOrEqual(8_000)
  expect(cluster.time.now - began).toBeLessThan(10_000)
  await clerk.close()
})

test('idle_session_is_replaced_before_it_can_have_expired', async () => {
  const cluster = new FakeCluster()
  const clerk = cluster.newClerk()
  await cluster.time.until(clerk.submit(bytesOf('first')))
  const old = clerk.clerkId
  cluster.expireSessions()
  await cluster.time.run(400_000)
  await cluster.time.until(clerk.submit(bytesOf('b')))
  expect(clerk.clerkId).not.toBe(old)
  await clerk.close()
})

test('close_fails_open_calls_by_stage_and_leaves_nothing', async () => {
  const cluster = new FakeCluster()
  const clerk = cluster.newClerk({ maxInFlight: 1 })
  await cluster.time.until(clerk.submit(bytesOf('first')))
  cluster.stuck = true
  const sent = clerk.submit(bytesOf('a'))
  const queued = clerk.submit(bytesOf('b'))
  const read = clerk.read(bytesOf('q'))
  await cluster.time.run(10)
  const closed = clerk.close()
  expect(await errorOf(sent)).toMatchObject({ code: 'CLOSED', outcome: 'unknown' })
  expect(await errorOf(queued)).toMatchObject({ code: 'CLOSED', outcome: 'not-applied' })
  expect(await errorOf(read)).toMatchObject({ code: 'CLOSED', outcome: 'not-applied' })
  await closed
  await cluster.time.run(100)
  expect(cluster.network.links.size).toBe(0)
  expect(cluster.time.pending).toBe(0)
  expect(await errorOf(clerk.submit(bytesOf('c')))).toMatchObject({ code: 'CLOSED', outcome: 'not-applied' })
})

test('close_whoever_is_told_of_it_and_calls_again_is_refused', async () => {
  const cluster = new FakeCluster()
  const holds: boolean[] = []
  const clerk = cluster.newClerk({}, (busy) => holds.push(busy))
  await cluster.time.until(clerk.submit(bytesOf('first')))
  let again: Promise<unknown> | undefined
  const end = (): void => void (again = errorOf(clerk.submit(bytesOf('again'))))
  const topic = new Uint8Array(0)
  clerk.watch({ stream: 0, topic, exact: false, from: undefined }, { changes: () => {}, synced: () => {}, end })
  await clerk.close()
  expect(await again).toMatchObject({ code: 'CLOSED', outcome: 'not-applied' })
  expect(holds.at(-1)).toBe(false)
})

test('too_large_is_refused_before_it_is_sent', async () => {
  const cluster = new FakeCluster()
  const clerk = cluster.newClerk()
  const error = await errorOf(clerk.submit(new Uint8Array(40 * 1024 * 1024)))
  expect(error).toMatchObject({ code: 'TOO_LARGE', outcome: 'not-applied' })
  await clerk.close()
})

test('hold_is_told_while_calls_are_open_only', async () => {
  const cluster = new FakeCluster()
  const holds: boolean[] = []
  const { Clerk } = await import('@coppice/clerk/core')
  const clerk = new Clerk(
    { configServers: cluster.configAddresses },
    {
      clock: cluster.time.clock,
      random: cluster.random,
      configDialer: cluster.network.dialer(),
      replicaDialer: cluster.network.dialer(),
      hold: (busy) => holds.push(busy),
    },
  )
  await cluster.time.until(Promise.all([clerk.submit(bytesOf('a')), clerk.submit(bytesOf('b'))]))
  expect(holds).toEqual([true, false])
  await clerk.close()
  expect(holds).toEqual([true, false])
})
