// A client's door to the servers: the Dialer port over links.
import {
  DEFAULT_GROUP,
  encodeMessage,
  PROTOCOL_VERSION,
  type ClientLink,
  type ClusterId,
  type Dialer,
  type GroupName,
  type Message,
} from '@coppice/protocol'
import type { Dial } from './channel.js'
import { randomId } from './clock.js'
import type { Hello, Refusal } from './hello.js'
import { Link, type LinkOwner } from './link.js'
import { nodeText } from './node-bytes.js'
import { setImmediate } from './timers.js'
import { dialWs } from './ws-channel.js'

/** How a client introduces itself. */
export interface WsDialerOptions {
  readonly role?: 'client'
  readonly linkKind: 'client-config' | 'client-replica'
  /** '' while unknown: any cluster is accepted, and `onClusterId` tells which it was. */
  readonly clusterId: () => ClusterId
  readonly onClusterId?: (clusterId: ClusterId) => void
  readonly group?: GroupName
  readonly token?: string
  /** Default: WebSockets over TCP. */
  readonly dial?: Dial | undefined
}

/** Links to servers over WebSocket. Each dial is one attempt; what fails comes as the link's `onClose`. */
export function wsDialer<Out extends Message, In extends Message>(options: WsDialerOptions): Dialer<Out, In> {
  const incarnation = randomId()
  const hello = (): Hello => ({
    version: PROTOCOL_VERSION,
    role: 'client',
    id: '',
    storeId: '',
    incarnation,
    clusterId: options.clusterId(),
    group: options.group ?? DEFAULT_GROUP,
    token: options.token ?? '',
  })
  return { dial: (address) => new DialedLink<Out, In>(address, options, hello) }
}

class DialedLink<Out extends Message, In extends Message> implements ClientLink<Out, In> {
  onOpen: (() => void) | undefined
  onMessage: ((message: In) => void) | undefined
  onClose: ((reason: string, refusal?: string) => void) | undefined
  private readonly link: Link | undefined

  constructor(address: string, options: WsDialerOptions, hello: () => Hello) {
    const role = options.linkKind === 'client-config' ? 'config' : 'replica'
    const owner: LinkOwner = {
      hello,
      refuse: (theirs) =>
        theirs.role === role
          ? undefined
          : { code: 'WRONG_SERVER', reason: `${address} is a ${theirs.role} server, not a ${role} server` },
      onOpen: () => this.onOpen?.(),
      onMessage: (_, message) => this.onMessage?.(message as In),
      onClose: (_, reason, refusal) => this.closed(reason, refusal),
      ...(options.onClusterId === undefined ? {} : { onClusterId: options.onClusterId }),
    }
    try {
      this.link = new Link((options.dial ?? dialWs)(address), true, owner)
    } catch (error) {
      // Not an address; said like any other failure, when the caller listens.
      setImmediate(() => this.closed(`${address}: ${(error as Error).message}`, undefined))
    }
  }

  get open(): boolean {
    return this.link?.open ?? false
  }

  get queuedBytes(): number {
    return this.link?.queuedBytes ?? 0
  }

  get receivedBytes(): number {
    return this.link?.receivedBytes ?? 0
  }

  send(message: Out): void {
    this.link?.sendBytes(encodeMessage(message, nodeText))
  }

  /** After it the owner hears nothing more of this link. */
  close(): void {
    this.onMessage = undefined
    this.onClose = undefined
    this.link?.close('closed by this client')
  }

  private closed(reason: string, refusal: Refusal | undefined): void {
    this.onClose?.(reason, refusal?.code)
  }
}
