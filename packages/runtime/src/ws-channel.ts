// A WebSocket as the channel of a link. Frames are read from its TCP socket directly (frame-reader.ts).
import type { Socket } from 'node:net'
import { FRAGMENT_BYTES, isUsedAtOnce } from '@coppice/protocol'
import type { WebSocket } from 'ws'
import type { Channel, ChannelOwner } from './channel.js'
import type { FrameReader } from './frame-reader.js'
import { isFragment } from './framing.js'
import { plain } from './node-bytes.js'
import { CLIENT_OPTIONS, CoppiceSocket } from './socket.js'
import { takeReads } from './socket-reads.js'

const BINARY = { binary: true, compress: false } as const

export class WsChannel implements Channel {
  owner!: ChannelOwner
  private readonly ws: WebSocket
  private socket: Socket | undefined
  private reader: FrameReader | undefined

  /** An accepted connection comes with its TCP `socket`; a dialed one (socket undefined) waits for its own. */
  constructor(ws: WebSocket, socket: Socket | undefined) {
    this.ws = ws
    if (socket !== undefined) this.begin(socket, true)
    else {
      let upgraded: Socket
      ws.once('upgrade', (response) => (upgraded = response.socket))
      ws.once('open', () => {
        this.begin(upgraded, false)
        this.owner.onOpen()
      })
    }
    ws.on('message', (data, isBinary) => this.owner.onFrame(plain(data as Buffer), isBinary))
    ws.on('error', (error) => {
      this.reader?.end()
      this.owner.onError(error.message || String((error as NodeJS.ErrnoException).code))
    })
    ws.on('close', (code, reason) => this.owner.onClose(code, reason.toString()))
  }

  get bufferedBytes(): number {
    return this.ws.bufferedAmount
  }

  send(frame: Uint8Array, sent?: () => void): void {
    this.ws.send(frame, BINARY, sent)
  }

  cork(): void {
    this.socket?.cork()
  }

  uncork(): void {
    this.socket?.uncork()
  }

  close(code: number, reason: string): void {
    this.ws.close(code, reason)
  }

  cut(): void {
    this.ws.terminate()
  }

  private begin(socket: Socket, accepted: boolean): void {
    this.socket = socket
    socket.on('drain', () => this.owner.onDrain())
    this.reader = takeReads(socket, accepted, this.onBinaryFrame)
  }

  private readonly onBinaryFrame = (frame: Uint8Array): void => {
    // Whoever gets a large one may keep it instead of a copy: it must not lie in the buffer that the next read overwrites. A fragment is
    // copied into its message.
    const isLent = isFragment(frame[0]) || (frame.length <= FRAGMENT_BYTES && isUsedAtOnce(frame))
    this.owner.onFrame(isLent ? frame : frame.slice(), true)
  }
}

/** Connects over TCP. */
export function dialWs(address: string): WsChannel {
  return new WsChannel(new CoppiceSocket(`ws://${address}/`, CLIENT_OPTIONS), undefined)
}
