// One connection: hello, heartbeat, frames to messages and back, and the reasons for which it is closed. Both ends use it; what a
// message means is the owner's affair.
import {
  DecodeError,
  decodeMessage,
  encodeMessage,
  MAX_SEND_QUEUE_BYTES,
  type ClusterId,
  type LinkKind,
  type Message,
} from '@coppice/protocol'
import type { Channel } from './channel.js'
import {
  FIRST_TRANSPORT_KIND,
  FRAME_HELLO,
  FRAME_PING,
  FRAME_REFUSED,
  frameOf,
  isFragment,
  Reassembly,
} from './framing.js'
import { DEAD_BEATS, joinHeartbeat, leaveHeartbeat, PING_BEATS } from './heartbeat.js'
import {
  decodeHello,
  decodeRefusal,
  encodeHello,
  encodeRefusal,
  linkKindOf,
  refusalOf,
  type Hello,
  type Refusal,
} from './hello.js'
import { joined, nodeText } from './node-bytes.js'
import { SendQueue } from './send-queue.js'
import {
  CLOSE_GOING_AWAY,
  CLOSE_MALFORMED,
  CLOSE_NORMAL,
  CLOSE_NOT_BINARY,
  CLOSE_POLICY,
  CLOSE_TOO_SLOW,
} from './socket.js'
import { clearTimeout, setTimeout } from './timers.js'

export interface LinkOwner {
  /** What this end says of itself, read when it is said. */
  hello(): Hello
  /** A further reason of the owner against the other end, beyond those of hello.ts. */
  refuse(theirs: Hello): Refusal | undefined
  onOpen(link: Link): void
  onMessage(link: Link, message: Message): void
  /** Once. `refusal`: the hello of one end was refused by the other. */
  onClose(link: Link, reason: string, refusal: Refusal | undefined): void
  /** The other end says its cluster while ours is not known yet. */
  onClusterId?(clusterId: ClusterId): void
}

/** A closed socket whose other end does not answer is cut after this. */
const CLOSE_PATIENCE_MS = 1_000

export class Link {
  /** Whether this end opened the connection. */
  readonly dialed: boolean
  /** The other end's hello, once it is accepted. */
  theirs: Hello | undefined
  private readonly channel: Channel
  private readonly owner: LinkOwner
  private readonly reassembly = new Reassembly()
  private readonly pendingLimit: number
  private readonly queue: SendQueue
  private cancelCut: (() => void) | undefined
  private kind: LinkKind | undefined
  private state: 'hello' | 'open' | 'draining' | 'closed' = 'hello'
  private pending: Uint8Array[] = []
  private pendingBytes = 0
  private heard = false
  /** Bytes of all frames received, fragments of an unfinished message included. */
  receivedBytes = 0
  private silentBeats = 0
  private beats = 0
  private failure = ''

  /** `pendingLimit`: bytes of messages kept while it is not open; more are dropped. */
  constructor(channel: Channel, dialed: boolean, owner: LinkOwner, pendingLimit = MAX_SEND_QUEUE_BYTES) {
    this.channel = channel
    this.owner = owner
    this.pendingLimit = pendingLimit
    this.dialed = dialed
    this.queue = new SendQueue(channel, () => this.close('does not take what is sent to it', CLOSE_TOO_SLOW))
    channel.owner = {
      onOpen: () => {
        if (this.state === 'hello') this.queue.frame(encodeHello(owner.hello()))
      },
      onFrame: this.onFrame,
      onDrain: this.queue.pump,
      onError: (reason) => (this.failure ||= reason),
      onClose: (code, reason) => this.onChannelClose(code, reason),
    }
    joinHeartbeat(this)
  }

  get open(): boolean {
    return this.state === 'open'
  }

  get queuedBytes(): number {
    return this.pendingBytes + this.queue.queuedBytes
  }

  send(message: Message): void {
    this.sendBytes(encodeMessage(message, nodeText))
  }

  /** Sends an encoded message, see `SendQueue.send`; kept until the link is open, dropped when it is closed. */
  sendBytes(bytes: Uint8Array, tail?: Uint8Array): void {
    if (this.state === 'open') return this.queue.send(bytes, tail)
    if (this.state !== 'hello') return
    const length = bytes.length + (tail?.length ?? 0)
    if (this.pendingBytes + length > this.pendingLimit) return
    this.pending.push(tail === undefined ? bytes : joined(bytes, tail))
    this.pendingBytes += length
  }

  /** Whether a big message with this very tail is still being sent. */
  isSending(tail: Uint8Array): boolean {
    return this.queue.isSending(tail)
  }

  /** Takes back what waits for the link to open. */
  takePending(): Uint8Array[] {
    const { pending } = this
    this.pending = []
    this.pendingBytes = 0
    return pending
  }

  close(reason: string, code = CLOSE_NORMAL): void {
    this.finish(reason, undefined, code)
  }

  /** Sends nothing more, but hears what the other end has sent until it closes too. */
  drain(reason: string): void {
    if (this.state !== 'open') return this.close(reason)
    this.state = 'draining'
    this.failure = reason
    this.endChannel(reason, CLOSE_NORMAL)
  }

  onBeat(): void {
    this.silentBeats = this.heard ? 0 : this.silentBeats + 1
    this.heard = false
    this.beats++
    if (this.silentBeats >= DEAD_BEATS) {
      const reason = this.state === 'open' ? 'nothing heard for 3 s' : 'no hello within 3 s'
      this.finish(reason, undefined, this.state === 'open' ? CLOSE_GOING_AWAY : CLOSE_MALFORMED)
    } else if (this.state === 'open' && this.beats % PING_BEATS === 0) {
      this.queue.frame(frameOf(FRAME_PING, nodeText.encode(this.owner.hello().clusterId)))
    }
  }

  private readonly onFrame = (frame: Uint8Array, isBinary: boolean): void => {
    if (this.state === 'closed') return
    this.heard = true
    this.receivedBytes += frame.length
    if (!isBinary) return this.close('text frame; only binary frames are spoken here', CLOSE_NOT_BINARY)
    let message: Message | undefined
    try {
      message = this.messageOf(frame)
    } catch (error) {
      // Only what the other end sent wrong is its fault; a defect of ours must stop the process.
      if (!(error instanceof DecodeError)) throw error
      return this.close(`bad frame: ${error.message}`, CLOSE_MALFORMED)
    }
    if (message !== undefined) this.owner.onMessage(this, message)
  }

  private messageOf(frame: Uint8Array): Message | undefined {
    const kind = frame[0]
    if (kind === undefined) throw new DecodeError('empty frame')
    if (this.state === 'hello') {
      this.onHandshake(kind, frame.subarray(1))
      return undefined
    }
    if (kind < FIRST_TRANSPORT_KIND) return decodeMessage(frame, this.kind!, nodeText)
    if (isFragment(kind)) {
      const whole = this.reassembly.add(frame)
      return whole === undefined ? undefined : decodeMessage(whole, this.kind!, nodeText)
    }
    if (kind !== FRAME_PING) throw new DecodeError(`frame kind ${kind} after the hello`)
    this.onPing(nodeText.decode(frame.subarray(1)))
    return undefined
  }

  private onHandshake(kind: number, body: Uint8Array): void {
    if (kind === FRAME_REFUSED && this.dialed) {
      const refusal = decodeRefusal(body)
      return this.finish(refusal.reason, refusal, CLOSE_NORMAL)
    }
    if (kind !== FRAME_HELLO) throw new DecodeError('the first frame must be a hello')
    const theirs = decodeHello(body)
    const own = this.owner.hello()
    const linkKind = linkKindOf(own.role, theirs.role)
    const refusal = refusalOf(own, theirs) ?? this.owner.refuse(theirs)
    if (refusal !== undefined || linkKind === undefined) return this.refuseHello(refusal ?? NOTHING_TO_SAY)
    this.theirs = theirs
    this.kind = linkKind
    this.state = 'open'
    if (!this.dialed) this.queue.frame(encodeHello(own))
    if (own.clusterId === '' && theirs.clusterId !== '') this.owner.onClusterId?.(theirs.clusterId)
    this.owner.onOpen(this)
    for (const bytes of this.takePending()) this.sendBytes(bytes)
  }

  private refuseHello(refusal: Refusal): void {
    if (!this.dialed) this.queue.frame(encodeRefusal(refusal))
    this.finish(refusal.reason, refusal, CLOSE_POLICY)
  }

  // Both ends may learn their cluster after the hello; then they must still agree.
  private onPing(clusterId: ClusterId): void {
    if (clusterId === '') return
    const own = this.owner.hello().clusterId
    if (own === '') this.owner.onClusterId?.(clusterId)
    else if (own !== clusterId) this.close(`cluster ${clusterId} met cluster ${own}`, CLOSE_POLICY)
  }

  private onChannelClose(code: number, reason: string): void {
    this.cancelCut?.()
    this.finish(this.failure || reason || `connection closed (${code})`, undefined, CLOSE_NORMAL)
  }

  private finish(reason: string, refusal: Refusal | undefined, code: number): void {
    if (this.state === 'closed') return
    this.state = 'closed'
    leaveHeartbeat(this)
    this.takePending()
    this.endChannel(reason, code)
    this.owner.onClose(this, reason, refusal)
  }

  private endChannel(reason: string, code: number): void {
    this.queue.end()
    this.cancelCut?.()
    const cut = setTimeout(() => this.channel.cut(), CLOSE_PATIENCE_MS).unref()
    this.cancelCut = () => clearTimeout(cut)
    this.channel.close(code, reason)
  }
}

const NOTHING_TO_SAY: Refusal = { code: 'BAD_HELLO', reason: 'two clients have nothing to say to each other' }
