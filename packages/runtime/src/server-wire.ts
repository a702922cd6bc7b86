// All connections of one server process: accepts peers and clients, dials peers on demand, and hands messages to the process. Cores
// decide what to send; what cannot be sent now is dropped, as a network would.
import {
  EMPTY_BYTES,
  encodeHead,
  encodeMessage,
  FRAGMENT_BYTES,
  isName,
  PROTOCOL_VERSION,
  tailOf,
  type BulkMessage,
  type ConnectionId,
  type FromReplicaServer,
  type Message,
  type NodeId,
  type Sender,
} from '@coppice/protocol'
import type { Channel, Listener, Transport } from './channel.js'
import { randomId } from './clock.js'
import type { Hello, Refusal } from './hello.js'
import { Link, type LinkOwner } from './link.js'
import { wsTransport } from './listener.js'
import { nodeText } from './node-bytes.js'
import { Peer } from './peer.js'
import { CLOSE_GOING_AWAY } from './socket.js'
import { afterTurn } from './turn.js'
import type { ServerRole, ServerWireOptions, WireMessages } from './wire-types.js'

/** All connections of one server process. What cannot be sent now is dropped, as a network would. */
export class ServerWire<R extends ServerRole> {
  private readonly options: ServerWireOptions<R>
  private readonly transport: Transport
  private readonly incarnation = randomId()
  private readonly peers = new Map<NodeId, Peer>()
  private readonly clients = new Map<ConnectionId, Link>()
  /** Connections that have not finished their hello. */
  private readonly strangers = new Set<Link>()
  private nextConnection = 1
  private listener: Listener | undefined
  private closed = false
  private lastAppend: Append | undefined
  private lastAppendBytes: Uint8Array = EMPTY_BYTES
  private lastProposal: Message | undefined
  private lastProposalBytes: Uint8Array = EMPTY_BYTES

  constructor(options: ServerWireOptions<R>) {
    this.options = options
    this.transport = options.transport ?? wsTransport
  }

  /** Begins to accept connections; answers the bound host:port. Rejects with a StartupError naming a port that is taken. */
  async listen(): Promise<string> {
    this.listener = await this.transport.listen(this.options.listen, (channel, from) => this.onAccepted(channel, from))
    return this.listener.address
  }

  /** Where a server can be reached from now on; `dial`: connect now. */
  setAddress(id: NodeId, address: string, dial = false): void {
    if (id === this.options.id || this.closed) return
    const peer = this.peer(id)
    peer.setAddress(address)
    if (dial) peer.connect()
  }

  /** Sends to another server; lost when it cannot be reached now. A message to oneself is lost too. */
  send(to: NodeId, message: WireMessages[R]['says']): void {
    const peer = this.closed ? undefined : this.peers.get(to)
    if (peer === undefined) return
    if (message.kind === 'propose') return peer.send(this.encodeProposal(message))
    const tail = tailOf(message as Message)
    if (tail === undefined || tail.length <= FRAGMENT_BYTES) {
      return peer.send(
        message.kind === 'append' ? this.encodeAppend(message) : encodeMessage(message as Message, nodeText),
      )
    }
    // A record that is still on its way is not queued again: on a slow link repetitions would only delay it further.
    if (!peer.isSending(tail)) peer.send(encodeHead(message as BulkMessage, nodeText), tail)
  }

  /** Answers a client; dropped when it is gone. */
  reply(connection: ConnectionId, message: WireMessages[R]['answer']): void {
    const link = this.clients.get(connection)
    if (link === undefined) return
    const tail = tailOf(message as Message)
    // Many watchers are told of one large change: it is sent from where it lies.
    if (tail === undefined || tail.length <= FRAGMENT_BYTES) link.send(message as Message)
    else link.sendBytes(encodeHead(message as BulkMessage, nodeText), tail)
  }

  /** Ends all connections in order and stops listening. */
  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    for (const peer of this.peers.values()) peer.close(STOPPING, CLOSE_GOING_AWAY)
    for (const link of this.clients.values()) link.close(STOPPING, CLOSE_GOING_AWAY)
    for (const link of this.strangers) link.close(STOPPING, CLOSE_GOING_AWAY)
    await this.listener?.close()
  }

  // The same record goes to every backup of the turn; it is encoded once.
  private encodeAppend(message: Append): Uint8Array {
    const last = this.lastAppend
    if (last === undefined) afterTurn(this.forgetAppend)
    else if (
      last.record === message.record &&
      last.commitIndex === message.commitIndex &&
      last.epoch === message.epoch
    ) {
      return this.lastAppendBytes
    }
    this.lastAppend = message
    this.lastAppendBytes = encodeMessage(message, nodeText)
    return this.lastAppendBytes
  }

  // A register with its history is the largest of the control messages, and goes to all config servers while writes wait.
  private encodeProposal(message: Message): Uint8Array {
    if (this.lastProposal !== message) {
      if (this.lastProposal === undefined) afterTurn(this.forgetProposal)
      this.lastProposal = message
      this.lastProposalBytes = encodeMessage(message, nodeText)
    }
    return this.lastProposalBytes
  }

  private readonly forgetProposal = (): void => {
    this.lastProposal = undefined
    this.lastProposalBytes = EMPTY_BYTES
  }

  private readonly forgetAppend = (): void => {
    this.lastAppend = undefined
    this.lastAppendBytes = EMPTY_BYTES
  }

  private hello(): Hello {
    const { role, id, storeId, group, clusterId } = this.options
    const { incarnation } = this
    return { version: PROTOCOL_VERSION, role, id, storeId, incarnation, clusterId: clusterId(), group, token: '' }
  }

  private peer(id: NodeId): Peer {
    let peer = this.peers.get(id)
    if (peer === undefined) {
      peer = new Peer(id, this.options.id, this.transport.dial, (each) => this.ownerOfDialed(each))
      this.peers.set(id, peer)
    }
    return peer
  }

  private ownerOfDialed(peer: Peer): LinkOwner {
    let sender: Sender = { id: peer.id, storeId: '' }
    return {
      hello: () => this.hello(),
      refuse: (theirs) => (theirs.id === peer.id ? this.refuseServer(theirs) : wrongServer(peer.id, theirs)),
      onOpen: (link) => {
        sender = senderOf(link)
        peer.onOpen(link)
      },
      onMessage: (_, message) => this.options.handlers.onMessage(sender, message as WireMessages[R]['hears']),
      onClose: (link, reason, refusal) => {
        peer.onClose(link)
        this.noteDialProblem(peer, reason, refusal)
      },
    }
  }

  private onAccepted(channel: Channel, from: string): void {
    let role: InboundRole | undefined
    const link: Link = new Link(channel, false, {
      hello: () => this.hello(),
      refuse: (theirs) => (theirs.role === 'client' ? undefined : this.refuseServer(theirs)),
      onOpen: () => {
        this.strangers.delete(link)
        role = link.theirs!.role === 'client' ? this.clientOn(link) : this.serverOn(link)
      },
      onMessage: (_, message) => role!.onMessage(message),
      onClose: (_, reason, refusal) => {
        this.strangers.delete(link)
        // Before the hello nobody knows the connection; a bad first frame or a refusal is worth a line.
        if (role === undefined) this.noteRefused(from, reason, refusal)
        else role.onClose(reason)
      },
    })
    this.strangers.add(link)
    if (this.closed) link.close(STOPPING, CLOSE_GOING_AWAY)
  }

  private clientOn(link: Link): InboundRole {
    const { handlers, logger } = this.options
    const connection = this.nextConnection++
    this.clients.set(connection, link)
    return {
      onMessage: (message) => handlers.onClient(connection, message as WireMessages[R]['client']),
      onClose: (reason) => {
        this.clients.delete(connection)
        logger.debug('client gone', { connection, reason })
        handlers.onClientGone(connection)
      },
    }
  }

  private serverOn(link: Link): InboundRole {
    const sender = senderOf(link)
    const peer = this.peer(sender.id)
    peer.onOpen(link)
    return {
      onMessage: (message) => this.options.handlers.onMessage(sender, message as WireMessages[R]['hears']),
      onClose: (reason) => {
        peer.onClose(link)
        this.options.logger.debug('peer gone', { peer: peer.id, reason })
        if (peer.forgettable) this.peers.delete(peer.id)
      },
    }
  }

  private refuseServer(theirs: Hello): Refusal | undefined {
    if (!isName(theirs.id)) return { code: 'BAD_HELLO', reason: 'a server must say its id' }
    // Two processes under one name; the newcomer must not be taken for this one.
    if (theirs.id === this.options.id)
      return { code: 'WRONG_SERVER', reason: `${theirs.id} is the name of this server` }
    const reason = this.options.refuseStore?.({ id: theirs.id, storeId: theirs.storeId })
    return reason === undefined ? undefined : { code: 'UNKNOWN_STORE', reason }
  }

  private noteRefused(from: string, reason: string, refusal: Refusal | undefined): void {
    if (!this.closed) this.options.logger.event('linkRefused', { from, reason, code: refusal?.code })
  }

  private noteDialProblem(peer: Peer, reason: string, refusal: Refusal | undefined): void {
    if (this.closed || reason === peer.lastProblem) return
    peer.lastProblem = reason
    if (refusal === undefined) this.options.logger.debug('peer gone', { peer: peer.id, reason })
    else this.options.logger.event('linkRefused', { peer: peer.id, reason, code: refusal.code })
  }
}

type Append = Extract<FromReplicaServer, { kind: 'append' }>

/** What an accepted connection turned out to be. */
interface InboundRole {
  onMessage(message: Message): void
  onClose(reason: string): void
}

const STOPPING = 'the server is stopping'

function senderOf(link: Link): Sender {
  return { id: link.theirs!.id, storeId: link.theirs!.storeId }
}

function wrongServer(wanted: NodeId, theirs: Hello): Refusal {
  return {
    code: 'WRONG_SERVER',
    reason: `the address of ${wanted} leads to ${theirs.id === '' ? 'a client' : theirs.id}`,
  }
}
