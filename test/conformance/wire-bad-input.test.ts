// Bad input to a server's wire: each kind is refused with words that name it, closes that connection, and disturbs nobody else.
import { connect } from 'node:net'
import { MAX_FRAME_BYTES, MAX_MESSAGE_BYTES, PROTOCOL_VERSION } from '@coppice/protocol'
import { wsDialer } from '@coppice/runtime'
import { afterEach, expect, test } from 'vitest'
import { Inbox, jsonOf, RawClient, startReplicaWire, stopAllWires } from './wire-kit.js'

afterEach(stopAllWires)

const status = (requestId: number) => ({ kind: 'status', requestId }) as const

async function good(address: string) {
  const link = wsDialer({ linkKind: 'client-replica', clusterId: () => 'cluster-a' }).dial(address)
  await new Promise<void>((resolve) => (link.onOpen = resolve))
  return link
}

/** Breaks a connection with `breakIt` and answers how it was closed, after seeing that a good client never noticed. */
async function refusedWith(
  breakIt: (raw: RawClient) => void,
  sayHello = true,
): Promise<{ code: number; reason: string }> {
  const server = await startReplicaWire('r1')
  const bystander = await good(server.address)
  const raw = new RawClient(server.address)
  await raw.opened
  if (sayHello) {
    await raw.hello()
    await raw.frames.next()
  }
  breakIt(raw)
  const closed = await raw.closed
  bystander.send(status(7))
  expect((await server.clients.next()).message).toEqual(status(7))
  expect(server.clients.all).toHaveLength(1)
  return closed
}

test('garbageFrame_afterHello_closesNamingIt', async () => {
  const closed = await refusedWith((raw) => raw.ws.send(Buffer.from([0x7e, 1, 2, 3])))
  expect(closed.code).toBe(1002)
  expect(closed.reason).toContain('message kind 126')
})

test('garbageJson_afterHello_closesNamingIt', async () => {
  const closed = await refusedWith((raw) => raw.ws.send(Buffer.from('\0{nonsense')))
  expect(closed).toEqual({ code: 1002, reason: 'bad frame: control message is not JSON' })
})

test('emptyFrame_closesNamingIt', async () => {
  const closed = await refusedWith((raw) => raw.ws.send(Buffer.alloc(0)))
  expect(closed).toEqual({ code: 1002, reason: 'bad frame: empty frame' })
})

test('textFrame_closesNamingIt', async () => {
  const closed = await refusedWith((raw) => raw.ws.send('hello?'))
  expect(closed.code).toBe(1003)
  expect(closed.reason).toContain('text frame')
})

test('frameOverLimit_closesNamingTheLimit', async () => {
  const closed = await refusedWith((raw) => raw.ws.send(Buffer.alloc(MAX_FRAME_BYTES + 1)))
  expect(closed).toEqual({ code: 1009, reason: `frame above the limit of ${MAX_FRAME_BYTES} bytes` })
})

test('messageOverLimit_inFragments_closesBeforeItIsSent', async () => {
  const first = Buffer.alloc(100)
  first[0] = 0xf3
  first.writeUInt32LE(1, 1)
  first.writeUInt32LE(MAX_MESSAGE_BYTES + 1, 5)
  const closed = await refusedWith((raw) => raw.ws.send(first))
  expect(closed.code).toBe(1002)
  expect(closed.reason).toContain(`above the limit of ${MAX_MESSAGE_BYTES}`)
})

test('messageBeforeHello_closesNamingIt', async () => {
  const closed = await refusedWith((raw) => raw.ws.send(Buffer.from('\0{"kind":"status","requestId":1}')), false)
  expect(closed).toEqual({ code: 1002, reason: 'bad frame: the first frame must be a hello' })
})

test('malformedHello_closesNamingTheField', async () => {
  const closed = await refusedWith((raw) => void raw.hello({ group: 7 }), false)
  expect(closed).toEqual({ code: 1002, reason: 'bad frame: hello with a malformed group' })
})

test('wrongProtocolVersion_isRefusedByName', async () => {
  const server = await startReplicaWire('r1')
  const raw = new RawClient(server.address)
  await raw.hello({ version: PROTOCOL_VERSION + 1, role: 'something of the future', group: { also: 'unknown' } })
  const reason = `protocol version ${PROTOCOL_VERSION + 1} met version ${PROTOCOL_VERSION}`
  expect(jsonOf(await raw.frames.next())).toEqual({ code: 'PROTOCOL_VERSION', reason })
  expect(await raw.closed).toEqual({ code: 1008, reason })
  expect(server.gone.all).toEqual([])
})

test('wrongCluster_isRefusedByName_andTheClientLearnsTheCode', async () => {
  const server = await startReplicaWire('r1')
  const link = wsDialer({ linkKind: 'client-replica', clusterId: () => 'cluster-b' }).dial(server.address)
  const closed = new Inbox<[string, string | undefined]>()
  link.onClose = (reason, refusal) => closed.push([reason, refusal])
  expect(await closed.next()).toEqual(['cluster cluster-b met cluster cluster-a', 'WRONG_CLUSTER'])
  expect(link.open).toBe(false)
  const line = await server.log.next()
  expect(line).toMatchObject({ event: 'linkRefused', code: 'WRONG_CLUSTER' })
})

test('wrongGroup_isRefused', async () => {
  const server = await startReplicaWire('r1')
  const link = wsDialer({ linkKind: 'client-replica', clusterId: () => '', group: 'other' }).dial(server.address)
  const refusal = await new Promise((resolve) => (link.onClose = (_, code) => resolve(code)))
  expect(refusal).toBe('WRONG_CLUSTER')
})

test('wrongKindOfServer_isRefusedByTheClient', async () => {
  const server = await startReplicaWire('r1')
  const link = wsDialer({ linkKind: 'client-config', clusterId: () => '' }).dial(server.address)
  const refusal = await new Promise((resolve) => (link.onClose = (_, code) => resolve(code)))
  expect(refusal).toBe('WRONG_SERVER')
})

test('halfHello_isClosedAfterItsTime', async () => {
  const closed = await refusedWith(() => undefined, false)
  expect(closed).toEqual({ code: 1002, reason: 'no hello within 3 s' })
})

test('unknownStore_isRefusedByName', async () => {
  const refuseStore = ({ id, storeId }: { id: string; storeId: string }) =>
    id === 'r2' && storeId !== 'store-r2' ? `r2 is registered with another store` : undefined
  const a = await startReplicaWire('r1', { refuseStore })
  const b = await startReplicaWire('r2', { storeId: 'wiped' })
  b.wire.setAddress('r1', a.address)
  b.wire.send('r1', { kind: 'commit', epoch: 1, commitIndex: 1, nextIndex: 1 })
  expect(await a.log.next()).toMatchObject({ event: 'linkRefused', code: 'UNKNOWN_STORE' })
  expect(await b.log.next()).toMatchObject({ event: 'linkRefused', reason: 'r2 is registered with another store' })
  expect(a.messages.all).toEqual([])
})

test('plainHttp_getsAnAnswer', async () => {
  const server = await startReplicaWire('r1')
  const answer = await fetch(`http://${server.address}/`)
  expect(answer.status).toBe(426)
})

test('plainTcpGarbage_isClosed', async () => {
  const server = await startReplicaWire('r1')
  const [host, port] = server.address.split(':')
  const socket = connect(Number(port), host)
  socket.on('error', () => undefined)
  socket.write('\x16\x03\x01 not http\r\n\r\n')
  await new Promise((resolve) => socket.once('close', resolve).resume())
})

test('takenPort_isNamed', async () => {
  const server = await startReplicaWire('r1')
  const port = server.address.split(':')[1]
  await expect(startReplicaWire('r2', { listen: server.address })).rejects.toMatchObject({
    code: 'PORT_TAKEN',
    message: `port ${port} of 127.0.0.1 is taken by another process`,
  })
})

test('notAnAddress_isNamed', async () => {
  await expect(startReplicaWire('r1', { listen: 'nonsense' })).rejects.toThrow(
    "'nonsense' is not an address; write host:port",
  )
  const link = wsDialer({ linkKind: 'client-replica', clusterId: () => '' }).dial('not an address')
  const reason = await new Promise<string>((resolve) => (link.onClose = resolve))
  expect(reason).toContain('not an address')
})
