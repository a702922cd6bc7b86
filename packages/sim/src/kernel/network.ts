// The simulated network between servers: latencies, loss, duplication, reordering, one-way partitions. Client connections (links.ts)
// share its partitions and latencies, but keep their order as TCP does.
import type { LinkKind, Message, NodeId, Sender, TextPort } from '@coppice/protocol'
import { brief } from './trace.js'
import { pack } from './by-value.js'
import type { PassMode } from './by-value.js'
import type { Kernel } from './kernel.js'
import type { Prng } from './prng.js'
import type { Trace } from './trace.js'

/** What the network knows of a server process. */
export interface NetworkNode {
  readonly id: NodeId
  readonly address: string
  readonly role: 'config' | 'replica'
  readonly storeId: string
  readonly alive: boolean
  /** Grows with every start. */
  readonly incarnation: number
  /** Gives a message to the process (later, if it is paused). */
  receive(from: Sender, message: Message): void
}

export interface NetworkOptions {
  readonly passMode: PassMode
  readonly text: TextPort
  /** Mean one-way latency, ms. */
  readonly latencyMs: number
  /** Whether messages of one pair keep their order. */
  readonly fifo: boolean
  /** Whether a message may reach a later incarnation of the process it was sent to. */
  readonly acrossRestarts: boolean
}

export class Network {
  readonly options: NetworkOptions
  readonly kernel: Kernel
  readonly nodes = new Map<NodeId, NetworkNode>()
  /** Set by the nemesis. */
  loss = 0
  duplication = 0
  /** Multiplies latencies. */
  slowness = 1
  /** Messages sent, by kind; for coverage. */
  readonly sent = new Map<string, number>()
  duplicated = 0
  /** Handles of client connections are numbered per run. */
  connectionSeq = 0
  lost = 0
  readonly #random: Prng
  readonly #trace: Trace
  readonly #blocked = new Set<string>()
  readonly #lastArrival = new Map<string, number>()

  constructor(kernel: Kernel, random: Prng, trace: Trace, options: NetworkOptions) {
    this.kernel = kernel
    this.#random = random
    this.#trace = trace
    this.options = options
  }

  /** Stops everything sent from `from` to `to` (names of hosts, clients included). */
  block(from: string, to: string): void {
    this.#blocked.add(`${from}>${to}`)
  }
  unblock(from: string, to: string): void {
    this.#blocked.delete(`${from}>${to}`)
  }
  healAll(): void {
    this.#blocked.clear()
    this.loss = 0
    this.duplication = 0
    this.slowness = 1
  }
  isBlocked(from: string, to: string): boolean {
    return this.#blocked.size > 0 && this.#blocked.has(`${from}>${to}`)
  }

  /** One-way latency, with a tail. */
  latency(): number {
    const base = this.options.latencyMs * this.slowness * (0.4 + this.#random.exponential(0.6))
    return this.#random.chance(0.003) ? base + this.#random.between(5, 60) : base
  }

  send(from: NetworkNode, to: NodeId, message: Message): void {
    this.sent.set(message.kind, (this.sent.get(message.kind) ?? 0) + 1)
    const target = this.nodes.get(to)
    if (target === undefined || !target.alive) return
    if (this.isBlocked(from.id, to) || (this.loss > 0 && this.#random.chance(this.loss))) {
      this.lost++
      if (this.#trace.enabled) this.#trace.line(this.kernel.now, from.id, `  lost to ${to}: ${brief(message)}`)
      return
    }
    const link: LinkKind =
      from.role === 'config' ? (target.role === 'config' ? 'config-config' : 'replica-config') : linkOfReplica(target)
    const sender: Sender = { id: from.id, storeId: from.storeId }
    const { incarnation, storeId } = target
    const copies = this.duplication > 0 && this.#random.chance(this.duplication) ? 2 : 1
    if (copies === 2) this.duplicated++
    const parcel = pack(message, link, this.options.passMode, this.options.text, copies)
    for (let i = 0; i < copies; i++) {
      this.kernel.at(this.#arrival(from.id, to), () => {
        if (!target.alive || target.storeId !== storeId) return
        if (target.incarnation !== incarnation && !this.options.acrossRestarts) return
        target.receive(sender, parcel.open())
      })
    }
  }

  #arrival(from: string, to: string): number {
    const time = this.kernel.now + this.latency()
    if (!this.options.fifo) return time
    const key = `${from}>${to}`
    const ordered = Math.max(time, this.#lastArrival.get(key) ?? 0)
    this.#lastArrival.set(key, ordered)
    return ordered
  }
}

function linkOfReplica(target: NetworkNode): LinkKind {
  return target.role === 'config' ? 'replica-config' : 'replica-replica'
}
