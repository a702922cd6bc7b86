// What a server makes of the bytes of a socket, with one buffer for all sockets and, where this Node cannot share it, without.
import { randomBytes } from 'node:crypto'
import { connect, createServer, type Socket } from 'node:net'
import { encodeMessage, FRAGMENT_BYTES, type Message } from '@coppice/protocol'
import { nodeText } from '@coppice/runtime'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { helloFrame, startReplicaWire, stopAllWires } from './wire-kit.js'

afterEach(stopAllWires)

const BINARY = 0x82
const TEXT_FRAGMENT = 0x01
const CLOSE = 0x88
const PING = 0x89

/** A frame as a client sends it. */
function frame(first: number, payload: Uint8Array, mask = 0): Buffer {
  const n = payload.length
  const head =
    n < 126
      ? [0x80 | n]
      : n < 65_536
        ? [0xfe, n >> 8, n & 255]
        : [0xff, 0, 0, 0, 0, 0, (n >> 16) & 255, (n >> 8) & 255, n & 255]
  return Buffer.from([first, ...head, mask, mask, mask, mask, ...payload.map((byte) => byte ^ mask)])
}

const bytesOf = (message: Message): Uint8Array => encodeMessage(message, nodeText)
const status = (requestId: number): Message => ({ kind: 'status', requestId })
const statusFrame = (requestId: number, mask = 0): Buffer => frame(BINARY, bytesOf(status(requestId)), mask)

const UPGRADE = [
  'GET / HTTP/1.1',
  'Host: x',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
  '\r\n',
].join('\r\n')

/** A connection that says its hello in the same bytes as its handshake; answers when the server has said its own. */
async function greeted(address: string, fields: Record<string, unknown> = {}): Promise<Socket> {
  const [host, port] = address.split(':')
  const socket = connect({ host: host!, port: Number(port), noDelay: true })
  socket.on('error', () => undefined)
  socket.write(Buffer.concat([Buffer.from(UPGRADE), frame(BINARY, helloFrame(fields))]))
  let heard = Buffer.alloc(0)
  await new Promise<void>((resolve) => {
    const listen = (bytes: Buffer): void => {
      heard = Buffer.concat([heard, bytes])
      if (!heard.includes('"version"')) return
      socket.off('data', listen).resume()
      resolve()
    }
    socket.on('data', listen)
  })
  return socket
}

/** The object that carries useUserBuffer for all sockets of the process. */
async function ownerOfUseUserBuffer(): Promise<Record<string, unknown>> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const socket = connect((server.address() as { port: number }).port, '127.0.0.1')
  await new Promise((resolve) => socket.once('connect', resolve))
  let owner = (socket as unknown as { _handle: object })._handle
  while (!Object.hasOwn(owner, 'useUserBuffer')) owner = Object.getPrototypeOf(owner) as object
  socket.destroy()
  server.close()
  return owner as Record<string, unknown>
}

describe.each(['into one buffer', 'as events'])('reads %s', (how) => {
  let giveBack = (): void => undefined
  beforeEach(async () => {
    if (how === 'into one buffer') return
    const owner = await ownerOfUseUserBuffer()
    const own = owner['useUserBuffer']
    delete owner['useUserBuffer']
    giveBack = () => (owner['useUserBuffer'] = own)
  })
  afterEach(() => giveBack())

  test('framesOfOneRead_areHeard_whateverTheyAreAndFollow', async () => {
    const server = await startReplicaWire('r1')
    const socket = await greeted(server.address)
    const odd = [statusFrame(2, 77), frame(PING, Buffer.from('?')), statusFrame(3)]
    socket.write(Buffer.concat([statusFrame(1), ...odd, statusFrame(4)]))
    for (let i = 1; i <= 4; i++) expect((await server.clients.next()).message).toEqual(status(i))
    socket.destroy()
    await server.gone.next()
  })

  test('frameAfterAClose_isNotHeard', async () => {
    const server = await startReplicaWire('r1')
    const socket = await greeted(server.address)
    socket.write(
      Buffer.concat([statusFrame(1), frame(CLOSE, Buffer.of(3, 232)), statusFrame(2), frame(PING, Buffer.of())]),
    )
    await server.gone.next()
    expect(server.clients.all.map(({ message }) => message)).toEqual([status(1)])
    const gone = server.log.all.find((line) => line['msg'] === 'client gone')
    expect(gone).toMatchObject({ reason: 'connection closed (1000)' })
  })

  test('frameAfterAMalformedOne_isNotHeard', async () => {
    const server = await startReplicaWire('r1')
    const socket = await greeted(server.address)
    socket.write(Buffer.concat([statusFrame(1), frame(0xf2, Buffer.of(1)), statusFrame(2)]))
    await server.gone.next()
    expect(server.clients.all.map(({ message }) => message)).toEqual([status(1)])
  })

  test('wholeFrameBetweenFragments_closes', async () => {
    const server = await startReplicaWire('r1')
    const socket = await greeted(server.address)
    socket.write(Buffer.concat([statusFrame(1), frame(TEXT_FRAGMENT, Buffer.of(65)), statusFrame(2)]))
    await server.gone.next()
    expect(server.clients.all.map(({ message }) => message)).toEqual([status(1)])
  })

  test('resetOrEnd_inTheMiddleOfAFrame_disturbsNobodyElse', async () => {
    const server = await startReplicaWire('r1')
    const sockets = await Promise.all([1, 2, 3].map(() => greeted(server.address)))
    const bytes = statusFrame(1)
    for (const socket of sockets) socket.write(bytes.subarray(0, bytes.length - 4))
    sockets[0]!.resetAndDestroy()
    sockets[1]!.end()
    await server.gone.next()
    await server.gone.next()
    sockets[2]!.write(bytes.subarray(bytes.length - 4))
    expect((await server.clients.next()).message).toEqual(status(1))
    expect(server.clients.all).toHaveLength(1)
  })

  test('manyConnections_inPieces_keepTheirFramesApart', async () => {
    const server = await startReplicaWire('r1')
    const sockets = await Promise.all(Array.from({ length: 60 }, () => greeted(server.address)))
    const streams = sockets.map((_, i) => Buffer.concat([0, 1, 2].map((j) => statusFrame(i * 3 + j))))
    for (let piece = 0; piece < 8; piece++) {
      for (const [i, socket] of sockets.entries()) {
        const bytes = streams[i]!
        const cut = (n: number): number => Math.floor((bytes.length * n) / 8)
        socket.write(bytes.subarray(cut(piece), cut(piece + 1)))
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
    while (server.clients.all.length < 180) await server.clients.next()
    const ids = server.clients.all.map(({ message }) => (message as { requestId: number }).requestId)
    expect(ids.toSorted((a, b) => a - b)).toEqual([...Array(180).keys()])
  })

  test('largestWholeAppend_isNotOverwritten_byWhatComesNext', async () => {
    const server = await startReplicaWire('r1')
    const socket = await greeted(server.address, { role: 'replica', id: 'r2', storeId: 's2', clusterId: 'cluster-a' })
    const append = (fill: number): Message => {
      const record = new Uint8Array(FRAGMENT_BYTES + 200).fill(fill)
      return { kind: 'append', epoch: 1, prevIndex: 1, prevEntryEpoch: 1, commitIndex: 1, record }
    }
    // Whoever may keep a record judges by its size and by the size of what it is in.
    for (let fill = 1; fill <= 20; fill++) socket.write(frame(BINARY, bytesOf(append(fill))))
    for (let i = 0; i < 20; i++) await server.messages.next()
    for (const { message } of server.messages.all) {
      if (message.kind !== 'append') return expect.unreachable()
      expect(message.record.buffer.byteLength).toBeLessThan(FRAGMENT_BYTES + 1_024)
    }
    socket.destroy()
  })
})
