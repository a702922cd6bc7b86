// A WebSocket server that sends back what it gets (no arguments), or a client of one with one message under way: PORT BYTES MS. The
// least that a question over a WebSocket could take.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { WebSocket, WebSocketServer } from 'ws'

const [, , port, bytes, ms] = process.argv
process.once('disconnect', () => process.exit(0))
if (port === undefined) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false })
  server.on('connection', (socket) => socket.on('message', (data) => socket.send(data)))
  await once(server, 'listening')
  process.send!((server.address() as AddressInfo).port)
} else {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false })
  await once(socket, 'open')
  const message = Buffer.alloc(Number(bytes), 'm')
  const took: number[] = []
  const until = performance.now() + Number(ms)
  let sentAt = performance.now()
  socket.on('message', () => {
    const now = performance.now()
    took.push(now - sentAt)
    sentAt = now
    if (now < until) socket.send(message)
    else process.send!(took)
  })
  socket.send(message)
}
