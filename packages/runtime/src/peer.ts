// Another server as this process reaches it: dialed when there is something to send, with backoff; an inbound link is used as
// well, and when both ends dialed at once only the link of the lower id stays.
import type { NodeId } from '@coppice/protocol'
import type { Dial } from './channel.js'
import { systemRandom } from './clock.js'
import { Link, type LinkOwner } from './link.js'
import { monotonicMs } from './timers.js'

const FIRST_BACKOFF_MS = 20
const LONGEST_BACKOFF_MS = 500
/** Messages kept while a peer is dialed; the cores repeat what matters. */
const DIAL_QUEUE_BYTES = 4 * 1024 * 1024

/** How a peer's dialed link is owned: made by the wire, which judges hellos and hears messages. */
export type OwnerOfDialed = (peer: Peer) => LinkOwner

export class Peer {
  readonly id: NodeId
  private readonly ownId: NodeId
  private readonly dialChannel: Dial
  private readonly ownerOf: OwnerOfDialed
  private address: string | undefined
  private outbound: Link | undefined
  private inbound: Link | undefined
  private backoffMs = FIRST_BACKOFF_MS
  private dialNotBefore = 0
  /** Reason of the last failed dial: a repeated one is not news. */
  lastProblem = ''

  constructor(id: NodeId, ownId: NodeId, dialChannel: Dial, ownerOf: OwnerOfDialed) {
    this.id = id
    this.ownId = ownId
    this.dialChannel = dialChannel
    this.ownerOf = ownerOf
  }

  /** The peer is known by nothing but links, and has none. */
  get forgettable(): boolean {
    return this.address === undefined && this.outbound === undefined && this.inbound === undefined
  }

  setAddress(address: string): void {
    if (address === this.address) return
    this.address = address
    this.backoffMs = FIRST_BACKOFF_MS
    this.dialNotBefore = 0
    // A dial of the old address may hang; an open link has proved itself by its hello.
    if (this.outbound?.open === false) this.outbound.close('the address changed')
  }

  send(bytes: Uint8Array, tail?: Uint8Array): void {
    const link = this.openLink() ?? this.outbound ?? this.dial()
    link?.sendBytes(bytes, tail)
  }

  /** Dials, unless there is a link or one is being made. */
  connect(): void {
    if (this.openLink() === undefined && this.outbound === undefined) this.dial()
  }

  isSending(tail: Uint8Array): boolean {
    return this.openLink()?.isSending(tail) ?? false
  }

  close(reason: string, code: number): void {
    this.address = undefined
    this.outbound?.close(reason, code)
    this.inbound?.close(reason, code)
  }

  /** A link of this peer has exchanged hellos. */
  onOpen(link: Link): void {
    const previous = link.dialed ? this.outbound : this.inbound
    if (link.dialed) this.outbound = link
    else this.inbound = link
    this.backoffMs = FIRST_BACKOFF_MS
    this.lastProblem = ''
    if (previous !== undefined && previous !== link) previous.close('replaced by a newer connection')
    const { outbound, inbound } = this
    if (outbound?.open === true && inbound?.open === true) this.resolveTwo(link, outbound, inbound)
    // What waited for a dial need not wait for it any longer.
    else if (!link.dialed && outbound !== undefined) for (const bytes of outbound.takePending()) link.sendBytes(bytes)
  }

  onClose(link: Link): void {
    if (link === this.inbound) this.inbound = undefined
    if (link !== this.outbound) return
    this.outbound = undefined
    const jitter = 0.5 + systemRandom()
    this.dialNotBefore = monotonicMs() + this.backoffMs * jitter
    this.backoffMs = Math.min(this.backoffMs * 2, LONGEST_BACKOFF_MS)
  }

  private openLink(): Link | undefined {
    const outbound = this.outbound?.open === true ? this.outbound : undefined
    const inbound = this.inbound?.open === true ? this.inbound : undefined
    // Both ends prefer the same one.
    return this.keepsOutbound ? (outbound ?? inbound) : (inbound ?? outbound)
  }

  private get keepsOutbound(): boolean {
    return this.ownId < this.id
  }

  private resolveTwo(newest: Link, outbound: Link, inbound: Link): void {
    // The older link leads to a process that is no more.
    if (outbound.theirs?.incarnation !== inbound.theirs?.incarnation) {
      const stale = newest === outbound ? inbound : outbound
      stale.close('replaced by a newer process')
    } else if (!this.keepsOutbound) {
      // Whoever dialed the surplus link closes it; the other end keeps reading it until then, so nothing sent on it is lost.
      outbound.drain('both ends dialed; one connection stays')
    }
  }

  private dial(): Link | undefined {
    if (this.address === undefined || monotonicMs() < this.dialNotBefore) return undefined
    try {
      this.outbound = new Link(this.dialChannel(this.address), true, this.ownerOf(this), DIAL_QUEUE_BYTES)
    } catch {
      // Not an address; the configuration that named it must be changed.
      this.dialNotBefore = monotonicMs() + LONGEST_BACKOFF_MS
    }
    return this.outbound
  }
}
