// Takes the reads of a socket over from ws (see frame-reader.ts), and gives all sockets of the process one buffer to read into: the
// ordinary way allocates 64 KiB for every read, which costs the allocation, and collections of what is outside the heap.
import type { Socket } from 'node:net'
import { FrameReader } from './frame-reader.js'
import { plain } from './node-bytes.js'

const READ_BYTES = 256 * 1024
let shared: Buffer | undefined

/**
 * From now on the frames of `socket`, whose handshake ws has just finished, go to `onFrame`, each valid for the call only. `masked`:
 * whether the other end must mask.
 */
export function takeReads(socket: Socket, masked: boolean, onFrame: (frame: Uint8Array) => void): FrameReader {
  const ofWs = socket.listeners('data').at(-1) as (chunk: Buffer) => void
  // What came with the handshake, and everything where the buffer cannot be shared.
  const onData = (chunk: Buffer): void => reader.push(plain(chunk))
  let isGivenUp = false
  const reader = new FrameReader(masked, onFrame, (bytes) => {
    // From here on ws listens again, for as long as it wants to: not after a close frame, nor after an error.
    if (!isGivenUp) socket.off('data', onData).on('data', ofWs)
    isGivenUp = true
    socket.emit('data', Buffer.from(bytes.buffer))
  })
  socket.off('data', ofWs).on('data', onData)
  shareBuffer(socket, (bytes) => reader.push(bytes))
  return reader
}

interface UserBufferHandle {
  useUserBuffer?(buffer: Uint8Array): void
}

/**
 * Node's `onread` option, for a socket that exists already: an accepted socket cannot be given options. Where this Node keeps the option
 * elsewhere nothing is changed, and reads go on to come as events.
 */
function shareBuffer(socket: Socket, push: (bytes: Uint8Array) => void): void {
  const handle = (socket as unknown as { _handle?: UserBufferHandle | null })._handle
  const symbols = Object.getOwnPropertySymbols(socket)
  const buffer = symbols.find((each) => each.description === 'kBuffer')
  const callback = symbols.find((each) => each.description === 'kBufferCb')
  if (buffer === undefined || callback === undefined || typeof handle?.useUserBuffer !== 'function') return
  shared ??= Buffer.allocUnsafeSlow(READ_BYTES)
  const bytes = new Uint8Array(shared.buffer)
  const slots = socket as unknown as Record<symbol, unknown>
  slots[buffer] = shared
  slots[callback] = (length: number): true => {
    push(bytes.subarray(0, length))
    return true
  }
  handle.useUserBuffer(shared)
}
