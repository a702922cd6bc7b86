// Links between a clerk and the servers of a test: messages take time, and a test may drop, repeat or delay any of them.
import { decodeMessage, encodeMessage } from '@coppice/protocol'
import type { ClientLink, Dialer, LinkKind, Message } from '@coppice/protocol'
import { nodeText } from '@coppice/runtime'
import type { FakeTime } from './fake-time.js'

/** What becomes of one message: when each copy arrives; none: it is lost. */
export type Fate = (message: Message, toServer: boolean, address: string) => readonly number[]

/** A server as the network sees it. */
export interface FakeServer {
  readonly kind: LinkKind
  onMessage(link: FakeLink, message: Message): void
  onGone?(link: FakeLink): void
}

export class FakeLink implements ClientLink<Message, Message> {
  onOpen: (() => void) | undefined
  onMessage: ((message: Message) => void) | undefined
  onClose: ((reason: string, refusal?: string) => void) | undefined
  open = false
  queuedBytes = 0
  readonly address: string
  readonly #network: FakeNetwork
  #queue: Message[] = []
  closed = false

  constructor(network: FakeNetwork, address: string) {
    this.#network = network
    this.address = address
  }

  send(message: Message): void {
    if (this.closed) return
    if (!this.open) this.#queue.push(message)
    else this.#network.carry(this, message, true)
  }

  /** From the server. */
  reply(message: Message): void {
    if (!this.closed) this.#network.carry(this, message, false)
  }

  opened(): void {
    if (this.closed) return
    this.open = true
    this.onOpen?.()
    const queue = this.#queue
    this.#queue = []
    for (const message of queue) this.send(message)
  }

  /** From outside: the connection breaks. */
  break(reason: string, refusal?: string): void {
    if (this.closed) return
    this.closed = true
    this.open = false
    this.#network.links.delete(this)
    this.onClose?.(reason, refusal)
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.open = false
    this.#network.links.delete(this)
    this.#network.servers.get(this.address)?.onGone?.(this)
  }
}

export class FakeNetwork {
  readonly servers = new Map<string, FakeServer>()
  readonly links = new Set<FakeLink>()
  /** Addresses where nothing answers, not even with a refusal. */
  readonly silent = new Set<string>()
  /** Hello refusals by address. */
  readonly refusals = new Map<string, string>()
  readonly dials: string[] = []
  fate: Fate = () => [1]
  readonly #time: FakeTime

  constructor(time: FakeTime) {
    this.#time = time
  }

  dialer<Out extends Message, In extends Message>(): Dialer<Out, In> {
    return { dial: (address) => this.#dial(address) as unknown as ClientLink<Out, In> }
  }

  /** The process at this address dies: connections break, new ones are refused. */
  kill(address: string): void {
    this.servers.delete(address)
    for (const link of [...this.links]) if (link.address === address) link.break('connection reset')
  }

  carry(link: FakeLink, message: Message, toServer: boolean): void {
    const server = this.servers.get(link.address)
    if (server === undefined) return
    // Through the codec, as on the wire: whoever reuses a buffer too early is found out.
    const bytes = encodeMessage(message, nodeText).slice()
    for (const delay of this.fate(message, toServer, link.address)) {
      this.#time.clock.after(delay, () => {
        if (link.closed || this.silent.has(link.address)) return
        const arrived = decodeMessage(bytes.slice(), server.kind, nodeText)
        if (toServer) this.servers.get(link.address)?.onMessage(link, arrived)
        else link.onMessage?.(arrived)
      })
    }
  }

  #dial(address: string): FakeLink {
    this.dials.push(address)
    const link = new FakeLink(this, address)
    this.links.add(link)
    this.#time.clock.after(1, () => {
      const refusal = this.refusals.get(address)
      if (this.silent.has(address)) return
      if (!this.servers.has(address)) link.break('connection refused')
      else if (refusal !== undefined) link.break(`refused: ${refusal}`, refusal)
      else link.opened()
    })
    return link
  }
}
