// The wire between well-behaved ends: order, bulk beside small messages, reconnecting, simultaneous dials, backpressure.
import { BULK_WINDOW_BYTES, FRAGMENT_BYTES, MAX_SEND_QUEUE_BYTES, type ReplicaToReplica } from '@coppice/protocol'
import { wsDialer } from '@coppice/runtime'
import { afterEach, expect, test } from 'vitest'
import { Inbox, RawClient, startConfigWire, startReplicaWire, stopAllWires, type TestServer } from './wire-kit.js'

afterEach(stopAllWires)

const commit = (commitIndex: number): ReplicaToReplica => ({
  kind: 'commit',
  epoch: 1,
  commitIndex,
  nextIndex: commitIndex,
})
const append = (bytes: number, fill = 7): ReplicaToReplica => ({
  kind: 'append',
  epoch: 1,
  prevIndex: 1,
  prevEntryEpoch: 0,
  commitIndex: 0,
  record: new Uint8Array(bytes).fill(fill),
})

/** Sends until one message arrives: what is sent while nobody can be reached is lost by contract. */
async function untilHeard(from: TestServer, to: TestServer, id: string): Promise<void> {
  const timer = setInterval(() => from.wire.send(id, commit(1)), 20)
  try {
    await to.messages.next()
  } finally {
    clearInterval(timer)
  }
}

test('peers_dialOnDemand_andKeepOrder', async () => {
  const a = await startReplicaWire('a')
  const b = await startReplicaWire('b')
  a.wire.setAddress('b', b.address)
  for (let i = 0; i < 100; i++) a.wire.send('b', commit(i))
  for (let i = 0; i < 100; i++) {
    const { from, message } = await b.messages.next()
    expect(from).toEqual({ id: 'a', storeId: 'store-a' })
    expect(message).toEqual(commit(i))
  }
  // The answer takes the same connection: b was never told where a is.
  b.wire.send('a', commit(200))
  expect((await a.messages.next()).message).toEqual(commit(200))
})

test('received_bytesArePlain_soThatSliceCopies', async () => {
  const a = await startReplicaWire('a')
  const b = await startReplicaWire('b')
  a.wire.setAddress('b', b.address)
  a.wire.send('b', append(1_000))
  a.wire.send('b', append(FRAGMENT_BYTES * 2))
  for (let i = 0; i < 2; i++) {
    const { message } = await b.messages.next()
    expect(message.kind === 'append' && message.record.constructor === Uint8Array).toBe(true)
  }
})

test('bigMessage_arrivesWhole_andSmallOnesOvertakeIt', async () => {
  const a = await startReplicaWire('a')
  const b = await startReplicaWire('b')
  a.wire.setAddress('b', b.address)
  a.wire.send('b', commit(0))
  await b.messages.next()
  const big = append(24 * 1024 * 1024)
  if (big.kind === 'append') for (let i = 0; i < big.record.length; i += 4_099) big.record[i] = i % 251
  a.wire.send('b', big)
  a.wire.send('b', commit(1))
  expect((await b.messages.next()).message).toEqual(commit(1))
  const { message } = await b.messages.next()
  expect(message.kind === 'append' && Buffer.compare(message.record, (big as { record: Uint8Array }).record)).toBe(0)
})

test('recordStillOnItsWay_isNotQueuedAgain', async () => {
  const a = await startReplicaWire('a')
  const b = await startReplicaWire('b')
  a.wire.setAddress('b', b.address)
  a.wire.send('b', commit(0))
  await b.messages.next()
  const big = append(8 * 1024 * 1024)
  a.wire.send('b', big)
  a.wire.send('b', { ...big })
  a.wire.send('b', append(FRAGMENT_BYTES * 2, 9))
  expect((await b.messages.next()).message).toMatchObject({ record: { length: 8 * 1024 * 1024 } })
  expect((await b.messages.next()).message).toMatchObject({ record: { length: FRAGMENT_BYTES * 2 } })
  // It has left: now a repetition is one.
  a.wire.send('b', big)
  expect((await b.messages.next()).message).toMatchObject({ record: { length: 8 * 1024 * 1024 } })
})

test('bulk_holdsBackAllButItsWindow', async () => {
  const server = await startReplicaWire('a')
  const raw = new RawClient(server.address)
  await raw.hello()
  await raw.frames.next()
  raw.ws.send(Buffer.from('\0{"kind":"status","requestId":1}'))
  const { connection } = await server.clients.next()
  raw.ws.pause()
  const replies = { buffer: new Uint8Array(32 * 1024 * 1024), start: 0, end: 32 * 1024 * 1024 }
  server.wire.reply(connection, {
    kind: 'replies',
    clerkId: 1,
    firstRequestId: 1,
    count: 1,
    epoch: 1,
    minIndex: 1,
    replies,
  })
  // The small reply is the first thing behind at most one window of fragments and what the kernel took.
  server.wire.reply(connection, { kind: 'hashAnswer', requestId: 1, index: 1, state: 'done', hash: 'x' })
  raw.ws.resume()
  let before = 0
  for (let frame = await raw.frames.next(); frame[0] !== 0; frame = await raw.frames.next()) before += frame.length
  expect(before).toBeLessThan(BULK_WINDOW_BYTES + FRAGMENT_BYTES)
})

test('simultaneousDials_endInOneConnection', async () => {
  const a = await startReplicaWire('a')
  const b = await startReplicaWire('b')
  a.wire.setAddress('b', b.address)
  b.wire.setAddress('a', a.address)
  a.wire.send('b', commit(1))
  b.wire.send('a', commit(2))
  expect((await b.messages.next()).message).toEqual(commit(1))
  expect((await a.messages.next()).message).toEqual(commit(2))
  // One of the two is given up, for this reason and no other; traffic goes on in both directions.
  const lines = [a.log, b.log].map(async (log) => (await log.next())['reason'])
  expect(await Promise.race(lines)).toContain('both ends dialed')
  for (let i = 10; i < 20; i++) {
    a.wire.send('b', commit(i))
    b.wire.send('a', commit(i))
    expect((await b.messages.next()).message).toEqual(commit(i))
    expect((await a.messages.next()).message).toEqual(commit(i))
  }
})

test('restartedPeer_isReachedAgain_atItsOldAddress', async () => {
  const a = await startReplicaWire('a')
  const b = await startReplicaWire('b')
  a.wire.setAddress('b', b.address)
  await untilHeard(a, b, 'b')
  await b.wire.close()
  const again = await startReplicaWire('b', { listen: b.address })
  await untilHeard(a, again, 'b')
})

test('movedPeer_isReachedAtItsNewAddress', async () => {
  const a = await startReplicaWire('a')
  const b = await startReplicaWire('b')
  a.wire.setAddress('b', b.address)
  await untilHeard(a, b, 'b')
  await b.wire.close()
  const moved = await startReplicaWire('b')
  a.wire.setAddress('b', moved.address)
  await untilHeard(a, moved, 'b')
})

test('addressOfAnotherServer_isNotObeyed', async () => {
  const a = await startReplicaWire('a')
  const c = await startReplicaWire('c')
  a.wire.setAddress('b', c.address)
  a.wire.send('b', commit(1))
  expect(await a.log.next()).toMatchObject({ event: 'linkRefused', code: 'WRONG_SERVER' })
  expect(c.messages.all).toEqual([])
})

test('unknownCluster_isAccepted_andLearned', async () => {
  const server = await startReplicaWire('a', { clusterId: 'cluster-a' })
  const learned = new Inbox<string>()
  const link = wsDialer({ linkKind: 'client-replica', clusterId: () => '', onClusterId: learned.push }).dial(
    server.address,
  )
  link.send({ kind: 'status', requestId: 1 })
  expect(await learned.next()).toBe('cluster-a')
  expect((await server.clients.next()).message).toEqual({ kind: 'status', requestId: 1 })
})

test('client_hearsWhenTheServerStops_andTheServerWhenTheClientGoes', async () => {
  const server = await startReplicaWire('a')
  const dialer = wsDialer({ linkKind: 'client-replica', clusterId: () => '' })
  const first = dialer.dial(server.address)
  first.send({ kind: 'status', requestId: 1 })
  const { connection } = await server.clients.next()
  first.onClose = () => expect.unreachable('an owner that closes hears nothing more')
  first.close()
  expect(await server.gone.next()).toBe(connection)
  const second = dialer.dial(server.address)
  second.send({ kind: 'status', requestId: 2 })
  await server.clients.next()
  const reason = new Promise((resolve) => (second.onClose = resolve))
  await server.wire.close()
  expect(await reason).toBe('the server is stopping')
})

test('refusedConnection_isReportedToTheDialer', async () => {
  const server = await startReplicaWire('a')
  await server.wire.close()
  const link = wsDialer({ linkKind: 'client-replica', clusterId: () => '' }).dial(server.address)
  expect(await new Promise((resolve) => (link.onClose = resolve))).toContain('ECONNREFUSED')
})

test('stoppedReader_isClosedWhenItsQueueIsFull', async () => {
  const server = await startReplicaWire('a')
  const raw = new RawClient(server.address)
  await raw.hello()
  await raw.frames.next()
  raw.ws.send(Buffer.from('\0{"kind":"status","requestId":1}'))
  const { connection } = await server.clients.next()
  raw.ws.pause()
  const bytes = 32 * 1024 * 1024
  const replies = { buffer: new Uint8Array(bytes), start: 0, end: bytes }
  const reply = { kind: 'replies', clerkId: 1, firstRequestId: 1, count: 1, epoch: 1, minIndex: 1, replies } as const
  for (let sent = 0; sent <= MAX_SEND_QUEUE_BYTES; sent += bytes) server.wire.reply(connection, reply)
  expect(await server.gone.next()).toBe(connection)
  raw.ws.terminate()
})

test('configServers_serveEachOther_replicasOfAnyGroup_andClients', async () => {
  const a = await startConfigWire('c1')
  const b = await startConfigWire('c2')
  const replica = await startReplicaWire('r1', { group: 'orders' })
  a.wire.setAddress('c2', b.address)
  a.wire.send('c2', { kind: 'preVote', round: 3, standing: null })
  expect(await b.messages.next()).toEqual({
    from: { id: 'c1', storeId: 'store-c1' },
    message: { kind: 'preVote', round: 3, standing: null },
  })
  a.wire.setAddress('r1', replica.address)
  a.wire.send('r1', { kind: 'seal', group: 'orders', epoch: 2, prev: 1 })
  expect((await replica.messages.next()).message).toEqual({ kind: 'seal', group: 'orders', epoch: 2, prev: 1 })
  replica.wire.send('c1', { kind: 'relinquished', group: 'orders', epoch: 2 })
  expect((await a.messages.next()).message).toEqual({ kind: 'relinquished', group: 'orders', epoch: 2 })
  const client = wsDialer({ linkKind: 'client-config', clusterId: () => '', group: 'whatever' }).dial(a.address)
  client.send({ kind: 'getConfig', requestId: 1, group: 'orders' })
  const { connection, message } = await a.clients.next()
  expect(message).toEqual({ kind: 'getConfig', requestId: 1, group: 'orders' })
  const answer = { kind: 'config', requestId: 1, leader: 'c1', configuration: null } as const
  const answered = new Promise((resolve) => (client.onMessage = resolve))
  a.wire.reply(connection, answer)
  expect(await answered).toEqual(answer)
})

test('messageOfAnotherLink_closesTheConnection', async () => {
  const a = await startConfigWire('c1')
  const raw = new RawClient(a.address)
  await raw.hello()
  await raw.frames.next()
  raw.ws.send(Buffer.from('\0{"kind":"preVote","round":1}'))
  expect(await raw.closed).toMatchObject({ code: 1002 })
  expect(a.clients.all).toEqual([])
})

test('ownName_isRefused_andAMessageToOneselfIsLost', async () => {
  const a = await startReplicaWire('a')
  const twin = await startReplicaWire('a', { storeId: 'another' })
  a.wire.setAddress('a', twin.address)
  a.wire.send('a', commit(1))
  const raw = new RawClient(a.address)
  await raw.hello({ role: 'replica', id: 'a', storeId: 'another', incarnation: 'x' })
  expect(await raw.closed).toMatchObject({ code: 1008, reason: 'a is the name of this server' })
  expect(twin.messages.all).toEqual([])
})
