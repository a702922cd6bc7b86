// The listening side: a small HTTP server whose only business today is to be upgraded to WebSocket.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { WebSocketServer } from 'ws'
import type { Channel, Listener, Transport } from './channel.js'
import { CoppiceSocket, SOCKET_LIMITS } from './socket.js'
import { StartupError } from './startup-error.js'
import { dialWs, WsChannel } from './ws-channel.js'

/** A connection that has sent no complete request after this is closed. */
const REQUEST_MS = 5_000

/** 'host:port' or '[v6]:port' in its parts. Throws a StartupError for anything else. */
export function parseAddress(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':')
  const host = address.slice(0, Math.max(colon, 0)).replace(/^\[(.*)\]$/, '$1')
  const port = Number(address.slice(colon + 1))
  if (host === '' || !Number.isInteger(port) || port < 0 || port > 65_535 || address.endsWith(':')) {
    throw new StartupError('ADDRESS_UNUSABLE', `'${address}' is not an address; write host:port`)
  }
  return { host, port }
}

/** Accepts WebSockets on host:port; port 0 takes a free one. */
export async function listenOn(
  address: string,
  onChannel: (channel: Channel, from: string) => void,
): Promise<Listener> {
  const { host, port } = parseAddress(address)
  const server = createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS }, (_, response) => {
    response
      .writeHead(426, { 'content-type': 'text/plain', upgrade: 'websocket' })
      .end('Coppice speaks WebSocket here.\n')
  })
  const upgrader = new WebSocketServer({ ...SOCKET_LIMITS, server, clientTracking: false, WebSocket: CoppiceSocket })
  upgrader.on('connection', (ws, { socket }) => {
    onChannel(new WsChannel(ws, socket), `${socket.remoteAddress ?? '?'}:${socket.remotePort ?? '?'}`)
  })
  // The HTTP server's errors are passed on by ws as well; they are handled by `bound`.
  upgrader.on('error', () => undefined)
  await bound(server, host, port)
  const { address: ip, port: boundPort, family } = server.address() as AddressInfo
  return {
    address: `${family === 'IPv6' ? `[${ip}]` : ip}:${boundPort}`,
    close: () =>
      new Promise((resolve) => {
        upgrader.close()
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function bound(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(inWords(error, host, port)))
    server.listen(port, host, resolve)
  })
}

function inWords(error: NodeJS.ErrnoException, host: string, port: number): Error {
  if (error.code === 'EADDRINUSE') {
    return new StartupError('PORT_TAKEN', `port ${port} of ${host} is taken by another process`, error)
  }
  return new StartupError('ADDRESS_UNUSABLE', `cannot listen on port ${port} of ${host}: ${error.message}`, error)
}

/** WebSockets over TCP. */
export const wsTransport: Transport = { dial: dialWs, listen: listenOn }
