// Client connections: ordered and reliable while they live, as TCP is. A partition stalls them and, after a while, breaks them for
// both ends; a dead process refuses or resets them; the nemesis may reset any of them with everything in flight.
import type { ClientLink, ConnectionId, LinkKind, Message } from '@coppice/protocol'
import { pack } from './by-value.js'
import type { Network, NetworkNode } from './network.js'
import type { Prng } from './prng.js'

/** A server process as client connections see it. */
export interface LinkServer extends NetworkNode {
  receiveClient(connection: ConnectionId, message: Message): void
  clientGone(connection: ConnectionId): void
  /** The way back for `reply` effects, set while the connection lives. */
  readonly connections: Map<ConnectionId, Link>
}

/** Client code as the network sees it; `run` suppresses what a crashed client would do. */
export interface LinkClient {
  readonly id: string
  readonly alive: boolean
  run(event: () => void): void
}

/** Without a way through for so long, heartbeats end a connection, ms. */
const HEARTBEAT_MS = 2_000
const STALL_MS = 40

/** One way of a connection: in order, whatever happens. */
interface Way {
  readonly from: string
  readonly to: string
  readonly queue: { readonly at: number; readonly since: number; readonly arrive: () => void }[]
  last: number
}

export class Link implements ClientLink<Message, Message> {
  readonly queuedBytes = 0
  open = false
  onOpen: (() => void) | undefined
  onMessage: ((message: Message) => void) | undefined
  onClose: ((reason: string, refusal?: string) => void) | undefined
  readonly client: LinkClient
  readonly #network: Network
  readonly #server: LinkServer | undefined
  readonly #kind: LinkKind
  readonly #connection: ConnectionId
  readonly #incarnation: number
  readonly #waiting: Message[] = []
  /** One side has given up; nothing passes any more. */
  #broken = false
  #clientTold = false
  readonly #up: Way
  readonly #down: Way

  constructor(network: Network, client: LinkClient, server: LinkServer | undefined) {
    this.#network = network
    this.client = client
    this.#server = server
    this.#kind = server?.role === 'config' ? 'client-config' : 'client-replica'
    this.#connection = ++network.connectionSeq
    const serverId = server?.id ?? ''
    this.#up = { from: client.id, to: serverId, queue: [], last: 0 }
    this.#down = { from: serverId, to: client.id, queue: [], last: 0 }
    this.#incarnation = server?.incarnation ?? 0
    this.#connect(network.kernel.now)
  }

  get serverId(): string {
    return this.#server?.id ?? 'nobody'
  }

  send(message: Message): void {
    if (this.#broken || !this.client.alive) return
    if (this.open) this.#toServer(message)
    else this.#waiting.push(message)
  }

  close(): void {
    if (this.#broken) return
    this.#clientTold = true
    this.break('closed by the client')
  }

  /** A reply of the server. */
  reply(message: Message): void {
    const server = this.#server
    if (server === undefined || this.#broken) return
    const parcel = pack(message, this.#kind, this.#network.options.passMode, this.#network.options.text)
    this.#enqueue(this.#down, () => {
      if (!this.#clientTold) this.client.run(() => this.onMessage?.(parcel.open()))
    })
  }

  /** Ends the connection; each end hears of it in its own time. */
  break(reason: string): void {
    if (this.#broken) return
    this.#broken = true
    this.open = false
    const { kernel } = this.#network
    const server = this.#server
    if (server !== undefined && server.connections.delete(this.#connection)) {
      const gone = () => {
        if (server.alive && server.incarnation === this.#incarnation) server.clientGone(this.#connection)
      }
      kernel.after(this.#network.latency(), gone)
    }
    if (this.#clientTold) return
    this.#clientTold = true
    kernel.after(this.#network.latency(), () => this.client.run(() => this.onClose?.(reason)))
  }

  #connect(since: number): void {
    const { kernel } = this.#network
    const server = this.#server
    kernel.after(2 * this.#network.latency(), () => {
      if (this.#broken) return
      if (!this.client.alive) return this.break('client is gone')
      if (server === undefined || !server.alive) return this.break('connection refused')
      if (server.incarnation !== this.#incarnation) return this.break('connection reset')
      if (this.#cut()) {
        if (kernel.now - since > HEARTBEAT_MS) return this.break('connect timed out')
        kernel.after(STALL_MS, () => this.#connect(since))
        return
      }
      server.connections.set(this.#connection, this)
      this.open = true
      this.client.run(() => this.onOpen?.())
      for (const message of this.#waiting.splice(0)) this.#toServer(message)
    })
  }

  #cut(): boolean {
    const server = this.#server!.id
    return this.#network.isBlocked(this.client.id, server) || this.#network.isBlocked(server, this.client.id)
  }

  #toServer(message: Message): void {
    const server = this.#server!
    const parcel = pack(message, this.#kind, this.#network.options.passMode, this.#network.options.text)
    this.#enqueue(this.#up, () => server.receiveClient(this.#connection, parcel.open()))
  }

  #enqueue(way: Way, arrive: () => void): void {
    const since = this.#network.kernel.now
    way.last = Math.max(way.last, since + this.#network.latency())
    way.queue.push({ at: way.last, since, arrive })
    if (way.queue.length === 1) this.#network.kernel.at(way.last, () => this.#pump(way))
  }

  #pump(way: Way): void {
    const { kernel } = this.#network
    const server = this.#server!
    if (this.#broken) return
    if (!server.alive || server.incarnation !== this.#incarnation) return this.break('connection reset')
    const first = way.queue[0]!
    if (this.#network.isBlocked(way.from, way.to)) {
      if (kernel.now - first.since > HEARTBEAT_MS) return this.break('heartbeat lost')
      kernel.after(STALL_MS, () => this.#pump(way))
      return
    }
    way.queue.shift()
    const next = way.queue[0]
    if (next !== undefined) kernel.at(next.at, () => this.#pump(way))
    first.arrive()
  }
}

/** Resets one of the open connections of these servers, with all that is in flight on it. */
export function resetSomeLink(servers: readonly LinkServer[], random: Prng): void {
  const links = servers.flatMap((server) => [...server.connections.values()])
  if (links.length > 0) random.pick(links).break('connection reset by the nemesis')
}
