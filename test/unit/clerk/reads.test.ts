// Reads: batches, the read replica and its failovers, read-your-writes, the primary on request, stale reads.
import { expect, test } from 'vitest'
import { FakeCluster, bytesOf, errorOf, textOf } from './support/fake-cluster.js'

function readers(cluster: FakeCluster): Set<string> {
  return new Set(cluster.heard.filter((h) => h.message.kind === 'reads').map((h) => h.at))
}

async function reading(cluster: FakeCluster) {
  const clerk = cluster.newClerk()
  await cluster.time.until(clerk.read(bytesOf('warm')))
  await cluster.time.run(20)
  cluster.heard.length = 0
  return clerk
}

test('reads_of_a_turn_travel_in_one_frame_to_one_replica', async () => {
  const cluster = new FakeCluster()
  const clerk = await reading(cluster)
  const answers = await cluster.time.until(
    Promise.all(Array.from({ length: 300 }, (_, i) => clerk.read(bytesOf(`q${i}`)))),
  )
  expect(answers.map(textOf)).toEqual(Array.from({ length: 300 }, (_, i) => `q${i}`))
  expect(cluster.heardOf('reads').length).toBe(1)
  await cluster.time.until(clerk.read(bytesOf('again')))
  expect(readers(cluster).size).toBe(1)
  await clerk.close()
})

test('read_replicas_differ_between_clerks', async () => {
  const cluster = new FakeCluster()
  const used = new Set<string>()
  for (let i = 0; i < 30; i++) {
    const clerk = await reading(cluster)
    await cluster.time.until(clerk.read(bytesOf('q')))
    for (const id of readers(cluster)) used.add(id)
    await clerk.close()
  }
  expect([...used].sort()).toEqual(['r1', 'r2', 'r3'])
})

test('read_carries_what_this_clerk_wrote', async () => {
  const cluster = new FakeCluster()
  const clerk = await reading(cluster)
  await cluster.time.until(clerk.submit(bytesOf('w')))
  await cluster.time.until(clerk.read(bytesOf('q')))
  expect(cluster.heardOf('reads')[0]).toMatchObject({ minEpoch: 1, minIndex: 3, stale: false })
  const answer = await cluster.time.until(clerk.readAnswer(bytesOf('s'), { stale: true }))
  expect(answer.ageMs).toBe(7)
  expect(cluster.heardOf('reads')[1]).toMatchObject({ minEpoch: 0, minIndex: 0, stale: true })
  await clerk.close()
})

test('read_from_the_primary_goes_there_only', async () => {
  const cluster = new FakeCluster()
  const clerk = await reading(cluster)
  for (let i = 0; i < 5; i++) await cluster.time.until(clerk.read(bytesOf('q'), { from: 'primary' }))
  expect([...readers(cluster)]).toEqual(['r1'])
  cluster.killPrimary()
  const call = clerk.read(bytesOf('q'), { from: 'primary' })
  await cluster.time.run(100)
  cluster.elect(['r3', 'r2'])
  expect(textOf(await cluster.time.until(call))).toBe('q')
  await clerk.close()
})

test('read_moves_on_when_its_replica_closes', async () => {
  const cluster = new FakeCluster()
  const clerk = await reading(cluster)
  await cluster.time.until(clerk.read(bytesOf('q')))
  const [replica] = readers(cluster)
  cluster.stuck = true
  const calls = Array.from({ length: 10 }, (_, i) => clerk.read(bytesOf(`q${i}`)))
  await cluster.time.run(10)
  cluster.stuck = false
  const began = cluster.time.now
  cluster.network.kill(`${replica}:1`)
  const answers = await cluster.time.until(Promise.all(calls))
  expect(answers.map(textOf)).toEqual(Array.from({ length: 10 }, (_, i) => `q${i}`))
  expect(cluster.time.now - began).toBeLessThan(50)
  await clerk.close()
})

test('read_moves_on_when_its_replica_is_silent', async () => {
  const cluster = new FakeCluster()
  const clerk = await reading(cluster)
  await cluster.time.until(clerk.read(bytesOf('q')))
  const [replica] = readers(cluster)
  cluster.network.silent.add(`${replica}:1`)
  expect(textOf(await cluster.time.until(clerk.read(bytesOf('q')), 3_000))).toBe('q')
  const began = cluster.time.now
  await cluster.time.until(clerk.read(bytesOf('next')))
  expect(cluster.time.now - began).toBeLessThan(50)
  await clerk.close()
})

test('read_moves_on_when_its_replica_refuses', async () => {
  const cluster = new FakeCluster()
  const clerk = await reading(cluster)
  await cluster.time.until(clerk.read(bytesOf('q')))
  const [replica] = readers(cluster)
  for (const reason of ['retry', 'behind', 'overloaded', 'moved'] as const) {
    cluster.refuse = (at, message) => (message.kind === 'reads' && at === replica ? reason : undefined)
    expect(textOf(await cluster.time.until(clerk.read(bytesOf('q')), 1_000))).toBe('q')
  }
  await clerk.close()
})

test('read_refused_everywhere_waits_and_succeeds_when_one_serves', async () => {
  const cluster = new FakeCluster()
  const clerk = await reading(cluster)
  cluster.refuse = () => 'retry'
  const call = clerk.read(bytesOf('q'))
  const hurried = errorOf(clerk.read(bytesOf('p'), { timeoutMs: 200 }))
  await cluster.time.run(1_500)
  expect(await hurried).toMatchObject({ code: 'TIMEOUT', outcome: 'not-applied', retryable: true })
  expect(cluster.heardOf('reads').length).toBeLessThan(200)
  cluster.refuse = undefined
  expect(textOf(await cluster.time.until(call, 2_000))).toBe('q')
  await clerk.close()
})

test('invalid_query_fails_with_its_reason', async () => {
  const cluster = new FakeCluster()
  const clerk = await reading(cluster)
  cluster.refuse = () => 'invalid'
  expect(await cluster.time.until(errorOf(clerk.read(bytesOf('q'))))).toMatchObject({
    code: 'INVALID_ARGUMENT',
    outcome: 'not-applied',
  })
  await clerk.close()
})

test('reads_that_fill_the_window_move_on_when_their_replica_is_silent', async () => {
  const cluster = new FakeCluster()
  const clerk = await reading(cluster)
  await cluster.time.until(clerk.read(bytesOf('q')))
  const [replica] = readers(cluster)
  cluster.network.silent.add(`${replica}:1`)
  const calls = Array.from({ length: 2_000 }, (_, i) => clerk.read(bytesOf(`q${i}`)))
  const answers = await cluster.time.until(Promise.all(calls), 5_000)
  expect(answers.map(textOf)).toEqual(Array.from({ length: 2_000 }, (_, i) => `q${i}`))
  expect(clerk.counts.reads).toBe(0)
  await clerk.close()
})

test('read_whose_answer_takes_long_to_arrive_is_answered_by_it', async () => {
  const cluster = new FakeCluster()
  const clerk = await reading(cluster)
  // Every answer takes five seconds; asking again does not make it faster.
  cluster.network.fate = (message) => [message.kind === 'readReplies' ? 5_000 : 1]
  const began = cluster.time.now
  await cluster.time.until(clerk.read(bytesOf('large')))
  expect(cluster.time.now - began).toBeLessThan(5_100)
  expect(cluster.heardOf('reads').length).toBeLessThanOrEqual(4)
  expect(clerk.counts.reads).toBe(0)
  await clerk.close()
})
