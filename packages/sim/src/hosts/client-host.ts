// One simulated client process: the ports that portable client code gets, and its death, after which nothing of it runs any more.
import type { ClerkPorts } from '@coppice/clerk/core'
import type { ClientLink, Clock, Dialer } from '@coppice/protocol'
import type { NodeClock } from '../kernel/clock.js'
import type { Kernel } from '../kernel/kernel.js'
import { Link } from '../kernel/links.js'
import type { LinkClient, LinkServer } from '../kernel/links.js'
import type { Network } from '../kernel/network.js'
import type { Prng } from '../kernel/prng.js'
import type { Trace } from '../kernel/trace.js'

/** A real timer takes at least so long; one that took no time at all would never let its clock go on. */
const SHORTEST_TIMER_MS = 0.001

export class ClientHost implements LinkClient {
  readonly id: string
  readonly clock: Clock
  readonly random: Prng
  alive = true
  readonly #kernel: Kernel
  readonly #network: Network
  readonly #trace: Trace
  readonly #serverAt: (address: string) => LinkServer | undefined
  readonly #links = new Set<Link>()
  #pausedUntil = 0

  constructor(
    id: string,
    nodeClock: NodeClock,
    random: Prng,
    network: Network,
    trace: Trace,
    serverAt: (address: string) => LinkServer | undefined,
  ) {
    this.id = id
    this.random = random
    this.#kernel = network.kernel
    this.#network = network
    this.#trace = trace
    this.#serverAt = serverAt
    this.clock = {
      now: () => nodeClock.now(),
      after: (delayMs, run) => {
        let cancelled = false
        const event = this.#kernel.after(Math.max(nodeClock.trueDuration(delayMs), SHORTEST_TIMER_MS), () => {
          this.run(() => {
            if (!cancelled) run()
          })
        })
        return () => {
          cancelled = true
          event.cancelled = true
        }
      },
      endOfTurn: (run) => {
        this.#kernel.endOfTurn(() => {
          if (this.alive) run()
        })
      },
    }
  }

  /** Runs an event of this client now, after its pause, or never. */
  run(event: () => void): void {
    if (!this.alive) return
    const { now } = this.#kernel
    if (now < this.#pausedUntil) {
      this.#kernel.at(this.#pausedUntil, () => this.run(event))
      return
    }
    this.#kernel.touchClients()
    event()
  }

  pause(ms: number): void {
    this.note(`pause ${ms.toFixed(0)} ms`)
    this.#pausedUntil = this.#kernel.now + ms
  }

  /** The process dies: its promises never settle, its connections close. */
  crash(): void {
    this.note('client crash')
    for (const link of this.#links) link.close()
    this.alive = false
  }

  note(text: string): void {
    if (this.#trace.enabled) this.#trace.line(this.#kernel.now, this.id, `** ${text}`)
  }

  get ports(): ClerkPorts {
    const dialer: Dialer<never, never> = { dial: (address) => this.dial(address) as ClientLink<never, never> }
    return {
      clock: this.clock,
      random: () => this.random.next(),
      configDialer: dialer as never,
      replicaDialer: dialer as never,
    }
  }

  dial(address: string): Link {
    const link = new Link(this.#network, this, this.#serverAt(address))
    this.#links.add(link)
    return link
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.clock.after(ms, resolve)
    })
  }
}
