// What leaves one connection: small messages at once, big ones in fragments with little outstanding, so that a small one never waits
// behind more than BULK_WINDOW_BYTES (rule R6). Everything of one turn leaves in one system call.
import { assert, BULK_WINDOW_BYTES, FRAGMENT_BYTES, MAX_SEND_QUEUE_BYTES } from '@coppice/protocol'
import type { Channel } from './channel.js'
import { FIRST_TRANSPORT_KIND, Fragmenter } from './framing.js'
import { afterTurn } from './turn.js'

export class SendQueue {
  private readonly channel: Channel
  private readonly onTooSlow: () => void
  private corked = false
  private ended = false
  private bulk: Fragmenter[] = []
  private bulkBytes = 0
  private nextStream = 1

  /** `onTooSlow`: the other end does not take what is sent; close the connection. */
  constructor(channel: Channel, onTooSlow: () => void) {
    this.channel = channel
    this.onTooSlow = onTooSlow
  }

  /** Bytes given to `send` and not yet to the kernel. */
  get queuedBytes(): number {
    return this.bulkBytes + this.channel.bufferedBytes
  }

  /** Whether a big message with this very tail is still being sent. */
  isSending(tail: Uint8Array): boolean {
    return this.bulk.some((each) => each.tail === tail)
  }

  /** Sends one encoded message: `message`, followed by `tail` when it is a big one with bytes that others share. */
  send(message: Uint8Array, tail?: Uint8Array): void {
    assert(message[0]! < FIRST_TRANSPORT_KIND, 'message kinds are below the transport kinds')
    if (tail === undefined && message.length <= FRAGMENT_BYTES) return this.frame(message)
    const fragmenter = new Fragmenter(message, this.nextStream, tail)
    assert(fragmenter.bytesLeft > FRAGMENT_BYTES, 'only a big message has a tail')
    this.bulk.push(fragmenter)
    this.nextStream = (this.nextStream + 1) >>> 0
    this.bulkBytes += fragmenter.bytesLeft
    this.cork()
    this.pump()
  }

  /** Sends one transport frame, before any fragment that still waits. */
  frame(frame: Uint8Array): void {
    if (this.ended) return
    this.cork()
    this.channel.send(frame)
  }

  /** Gives what is corked to the kernel; nothing is sent afterwards. */
  end(): void {
    this.ended = true
    this.bulk = []
    this.bulkBytes = 0
    this.uncork()
  }

  private cork(): void {
    if (this.corked) return
    this.corked = true
    this.channel.cork()
    afterTurn(this.onTurnEnd)
  }

  private readonly onTurnEnd = (): void => {
    this.uncork()
    if (!this.ended && this.queuedBytes > MAX_SEND_QUEUE_BYTES) this.onTooSlow()
  }

  private uncork(): void {
    if (!this.corked) return
    this.corked = false
    this.channel.uncork()
  }

  /** There may be room for the next piece of a big message. */
  readonly pump = (): void => {
    for (let next = this.bulk[0]; next !== undefined && !this.ended; next = this.bulk[0]) {
      const size = Math.min(FRAGMENT_BYTES, next.bytesLeft)
      if (this.channel.bufferedBytes + size > BULK_WINDOW_BYTES) return
      this.bulkBytes -= size
      const frame = next.next()
      if (next.bytesLeft === 0) this.bulk.shift()
      // Called when the kernel has it: then there is room for the next one.
      this.channel.send(frame, this.pump)
    }
  }
}
