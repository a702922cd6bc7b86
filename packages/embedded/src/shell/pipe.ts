// One end of a connection inside this process: the channel of a link, without sockets. Frames are copied when they are sent, and arrive in their
// order in a later turn, unless the network holds them back.
import type { Channel, ChannelOwner } from '@coppice/runtime'

/** What the pipes of a network ask of it. */
export interface PipeNetwork {
  /** Whether anything gets from one of these to the other now. */
  passes(from: string, to: string): boolean
  /** Calls `end.arrive()` soon, when what was sent to it may pass. */
  schedule(end: PipeEnd): void
  /** A connection of `from` to this address: its other end, or why there is none. */
  accept(from: PipeEnd, address: string): PipeEnd | undefined
}

type Item =
  | { readonly kind: 'connect'; readonly address: string }
  | { readonly kind: 'frame'; readonly frame: Uint8Array; readonly sent: (() => void) | undefined }
  | { readonly kind: 'close'; readonly code: number; readonly reason: string }

/** What ws says of a connection that ended without a word. */
const CLOSE_ABNORMAL = 1006

export class PipeEnd implements Channel {
  owner!: ChannelOwner
  /** Bytes sent that have not arrived. */
  bufferedBytes = 0
  /** Names of the process that has this end and of the one at the other. */
  readonly local: string
  readonly remote: string
  private readonly network: PipeNetwork
  private peer: PipeEnd | undefined
  private inbox: Item[] = []
  private corked = false
  private state: 'connecting' | 'open' | 'closing' | 'closed' = 'connecting'

  constructor(network: PipeNetwork, local: string, remote: string) {
    this.network = network
    this.local = local
    this.remote = remote
  }

  /** Begins to connect; the other end comes from `accept`. */
  connect(address: string): void {
    this.inbox.push({ kind: 'connect', address })
    this.network.schedule(this)
  }

  /** Joins an accepted end to the one that dialed. */
  join(peer: PipeEnd): void {
    this.peer = peer
    peer.peer = this
    this.state = 'open'
  }

  send(frame: Uint8Array, sent?: () => void): void {
    if (this.state !== 'open') return
    this.bufferedBytes += frame.length
    this.give({ kind: 'frame', frame: frame.slice(), sent })
  }

  cork(): void {
    this.corked = true
  }

  uncork(): void {
    this.corked = false
    this.schedulePeer()
  }

  close(code: number, reason: string): void {
    if (this.state === 'connecting') return this.closed(CLOSE_ABNORMAL, '')
    if (this.state !== 'open') return
    this.state = 'closing'
    this.give({ kind: 'close', code, reason })
    this.schedulePeer()
  }

  cut(): void {
    if (this.state === 'closed') return
    this.give({ kind: 'close', code: CLOSE_ABNORMAL, reason: '' })
    this.schedulePeer()
    this.closed(CLOSE_ABNORMAL, '')
  }

  /** What was sent to this end and may pass arrives. */
  arrive(): void {
    const items = this.inbox
    this.inbox = []
    for (let i = 0; i < items.length && this.state !== 'closed'; i++) this.take(items[i]!)
  }

  get waiting(): boolean {
    return this.inbox.length > 0
  }

  private give(item: Item): void {
    const { peer } = this
    if (peer === undefined || peer.state === 'closed') return
    peer.inbox.push(item)
    if (!this.corked) this.network.schedule(peer)
  }

  private schedulePeer(): void {
    if (this.peer?.waiting === true) this.network.schedule(this.peer)
  }

  private take(item: Item): void {
    switch (item.kind) {
      case 'connect':
        return this.connected(this.network.accept(this, item.address), item.address)
      case 'frame': {
        const sender = this.peer!
        sender.bufferedBytes -= item.frame.length
        this.owner.onFrame(item.frame, true)
        item.sent?.()
        if (sender.bufferedBytes === 0 && sender.state === 'open') sender.owner.onDrain()
        return
      }
      case 'close':
        // Answered, so that the other end knows that nothing more comes.
        if (this.state === 'open') this.give(item)
        return this.closed(item.code, item.reason)
    }
  }

  private connected(peer: PipeEnd | undefined, address: string): void {
    if (peer === undefined) {
      this.owner.onError(`nobody listens at ${address}`)
      return this.closed(CLOSE_ABNORMAL, '')
    }
    this.state = 'open'
    this.owner.onOpen()
  }

  private closed(code: number, reason: string): void {
    if (this.state === 'closed') return
    this.state = 'closed'
    this.inbox = []
    this.owner.onClose(code, reason)
  }
}
