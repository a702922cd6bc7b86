// Finds the configuration of a group: asks one config server after the other, rotating on any failure (P6), until one knows a
// newer configuration than the clerk. Follows the leader hint and the list of config servers that each configuration carries.
import type {
  ClientLink,
  ClientToConfig,
  Clock,
  ConfigToClient,
  Configuration,
  Dialer,
  ErrorCode,
  GroupName,
  Millis,
  NodeId,
  Random,
} from '@coppice/protocol'
import { backoffMs } from './backoff.js'
import { lastingRefusal } from './refusal.js'

/** A server that has not answered by then is passed over for the next, ms; a late answer still counts. */
const ANSWER_WAIT_MS = 300
const ASK_AGAIN_MS = 1_000
const POLL_BASE_MS = 40
const POLL_MAX_MS = 500

export interface FinderPorts {
  readonly clock: Clock
  readonly random: Random
  readonly dialer: Dialer<ClientToConfig, ConfigToClient>
  readonly group: GroupName
  /** A newer configuration was learned. */
  readonly onConfiguration: (configuration: Configuration) => void
  /** All known config servers were asked, and none has anything newer: they may all have been replaced. */
  readonly onFruitless: () => void
  /** Every known config server refuses this client for good. */
  readonly onRefused: (code: ErrorCode, message: string) => void
}

interface Server {
  readonly address: string
  link: ClientLink<ClientToConfig, ConfigToClient> | undefined
  /** When the question that is out on `link` was sent; undefined: none is. */
  askedAt: Millis | undefined
  /** What it said last, for the error of a call that found nobody. */
  said: string
  refused: ErrorCode | undefined
}

export class ConfigurationFinder {
  configuration: Configuration | undefined = undefined
  readonly #ports: FinderPorts
  readonly #seeds: readonly string[]
  #servers: Server[]
  #at: number
  #needed = false
  #closed = false
  #fruitless = 0
  #requestId = 0
  #cancel: (() => void) | undefined = undefined

  constructor(ports: FinderPorts, addresses: readonly string[]) {
    this.#ports = ports
    this.#seeds = addresses
    this.#servers = addresses.map(serverAt)
    this.#at = Math.floor(ports.random() * this.#servers.length)
  }

  /** Asks until a newer configuration arrives or `enough` is said. */
  need(): void {
    if (this.#needed || this.#closed) return
    this.#needed = true
    this.#fruitless = 0
    this.#ask()
  }

  /** What made it needed has passed. */
  enough(): void {
    this.#needed = false
    this.#cancel?.()
    this.#cancel = undefined
  }

  /** A replica tells what it knows: it hears of new config servers by itself. */
  offer(configuration: Configuration): void {
    const known = this.configuration
    if (this.#closed || known === undefined) return
    if (configuration.clusterId === known.clusterId && configuration.version > known.version) this.#adopt(configuration)
  }

  /** The refusal that all known config servers gave, if they did. */
  get refused(): ErrorCode | undefined {
    const first = this.#servers[0]?.refused
    return this.#servers.every((s) => s.refused !== undefined) ? first : undefined
  }

  /** Every address with what it said. */
  describe(): string {
    return this.#servers.map((s) => `config server ${s.address}: ${s.said}`).join('; ')
  }

  close(): void {
    this.#closed = true
    this.enough()
    for (const server of this.#servers) dropLink(server)
  }

  #ask(): void {
    this.#cancel?.()
    const server = this.#servers[this.#at % this.#servers.length]!
    const link = server.link ?? this.#dial(server)
    const now = this.#ports.clock.now()
    // Not again while an answer may be under way: questions to a link that is not open yet are queued.
    if (server.askedAt === undefined || now - server.askedAt > ASK_AGAIN_MS) {
      server.askedAt = now
      link.send({ kind: 'getConfig', requestId: ++this.#requestId, group: this.#ports.group })
    }
    this.#cancel = this.#ports.clock.after(ANSWER_WAIT_MS, () => this.#fruitlessAnswer(server, ''))
  }

  #dial(server: Server): ClientLink<ClientToConfig, ConfigToClient> {
    const link = this.#ports.dialer.dial(server.address)
    server.link = link
    server.askedAt = undefined
    link.onOpen = () => {
      server.refused = undefined
      if (server.said === 'not asked yet') server.said = 'connected, no answer'
    }
    link.onMessage = (message) => {
      if (message.kind === 'config') this.#onAnswer(server, message.configuration, message.leader)
    }
    link.onClose = (reason, refusal) => {
      if (server.link !== link) return
      server.link = undefined
      server.askedAt = undefined
      server.said = reason
      server.refused = lastingRefusal(refusal)
      if (this.#closed) return
      const refused = this.configuration === undefined ? this.refused : undefined
      if (refused !== undefined) this.#ports.onRefused(refused, this.describe())
      this.#fruitlessAnswer(server, '')
    }
    return link
  }

  #onAnswer(server: Server, configuration: Configuration | null, leader: NodeId | ''): void {
    server.askedAt = undefined
    server.refused = undefined
    if (configuration === null) {
      server.said = `knows no group ${this.#ports.group} yet`
      this.#fruitlessAnswer(server, leader)
      return
    }
    const known = this.configuration
    if (known !== undefined && configuration.clusterId !== known.clusterId) {
      // An address was given to another cluster: it must never steer this clerk.
      server.said = `belongs to cluster ${configuration.clusterId}, not ${known.clusterId}`
      this.#fruitlessAnswer(server, '')
      return
    }
    server.said = `answered (epoch ${configuration.epoch})`
    if (known !== undefined && configuration.version <= known.version) {
      this.#fruitlessAnswer(server, leader)
      return
    }
    this.#adopt(configuration)
  }

  #adopt(configuration: Configuration): void {
    this.configuration = configuration
    this.enough()
    this.#follow(configuration)
    this.#ports.onConfiguration(configuration)
  }

  // The configuration's own list first, then the addresses the user gave, which may be names that outlive servers.
  #follow(configuration: Configuration): void {
    const current = this.#servers[this.#at % this.#servers.length]
    const byAddress = new Map(this.#servers.map((s) => [s.address, s]))
    const wanted = new Set([...configuration.configServers.map((s) => s.address), ...this.#seeds])
    this.#servers = [...wanted].map((address) => byAddress.get(address) ?? serverAt(address))
    for (const [address, server] of byAddress) if (!wanted.has(address)) dropLink(server)
    this.#at = Math.max(0, current === undefined ? 0 : this.#servers.indexOf(current))
  }

  #fruitlessAnswer(server: Server, leader: NodeId | ''): void {
    if (!this.#needed || this.#closed) return
    // Another server is being asked by now: this one was passed over before.
    if (server !== this.#servers[this.#at % this.#servers.length]) return
    if (server.askedAt !== undefined && server.said === 'not asked yet') server.said = 'no answer'
    this.#at = this.#leaderPlace(leader, server) ?? (this.#at + 1) % this.#servers.length
    const round = Math.floor(this.#fruitless++ / this.#servers.length)
    if (this.#fruitless % this.#servers.length === 0) this.#ports.onFruitless()
    const wait = backoffMs(round, POLL_BASE_MS, POLL_MAX_MS, this.#ports.random)
    this.#cancel?.()
    this.#cancel = this.#ports.clock.after(round === 0 ? 0 : wait, () => this.#ask())
  }

  #leaderPlace(leader: NodeId | '', server: Server): number | undefined {
    const address = this.configuration?.configServers.find((s) => s.id === leader)?.address
    if (address === undefined) return undefined
    // The leader itself has nothing newer now: stay with it, it will be the first to know.
    if (address === server.address) return this.#at
    const place = this.#servers.findIndex((s) => s.address === address)
    return place < 0 ? undefined : place
  }
}

function serverAt(address: string): Server {
  return { address, link: undefined, askedAt: undefined, said: 'not asked yet', refused: undefined }
}

function dropLink(server: Server): void {
  const { link } = server
  server.link = undefined
  server.askedAt = undefined
  link?.close()
}
