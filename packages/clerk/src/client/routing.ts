// Where requests go: which member is primary as far as this clerk can know, and when it must ask the config service again.
// Guessing wrong is harmless: exactly-once makes every resend safe, and whoever is not primary says so.
import type {
  Clock,
  ClientToConfig,
  ClientToReplica,
  Configuration,
  ConfigToClient,
  Dialer,
  Epoch,
  ErrorCode,
  GroupName,
  Millis,
  NodeId,
  Random,
  ReplicaToClient,
  ServerEntry,
} from '@coppice/protocol'
import { backoffMs } from './backoff.js'
import { ConfigurationFinder } from './configuration.js'
import { type Member, Members } from './members.js'
import { lastingRefusal } from './refusal.js'

const MOVED_BASE_MS = 10
const MOVED_MAX_MS = 300
/** A hint is followed for so long at the most before the configuration's own word counts again, ms. */
const HINT_MS = 1_000
/** Members that were announced are kept connected for so long, if no configuration has them by then, ms. */
const ANNOUNCED_MS = 30_000
/** A link that does not open within so many times silenceMs is dialled anew. */
const DIAL_SILENCES = 3

export interface RoutingPorts {
  readonly clock: Clock
  readonly random: Random
  readonly configDialer: Dialer<ClientToConfig, ConfigToClient>
  readonly replicaDialer: Dialer<ClientToReplica, ReplicaToClient>
  readonly group: GroupName
  /** Where this clerk stands; '': nowhere in particular. */
  readonly zone: string
  readonly onMessage: (member: Member, message: ReplicaToClient) => void
  /** Links or roles have changed: what waits may have somewhere to go, what was sent may have to be sent elsewhere. */
  readonly onChange: () => void
  /** Nobody will ever serve this client. */
  readonly onRefused: (code: ErrorCode, message: string) => void
}

export class Routing {
  readonly members: Members
  readonly #ports: RoutingPorts
  readonly #finder: ConfigurationFinder
  /** Named by a server that is primary no longer; may be ahead of the configuration. */
  #hint: { readonly id: NodeId; readonly until: Millis } | undefined = undefined
  /** Members of an epoch that is being prepared: links to them are opened before they are needed. */
  #announced: { readonly servers: readonly ServerEntry[]; readonly until: Millis } | undefined = undefined
  /** The primary refused lately: nothing is sent to it before then. */
  #blockedUntil: Millis = 0
  #cancelBlock: (() => void) | undefined = undefined
  #refusals = 0
  #newestEpoch: Epoch = 0
  #adoptedEpoch: Epoch = 0
  #refusedBy: ErrorCode | undefined = undefined

  constructor(ports: RoutingPorts, addresses: readonly string[]) {
    this.#ports = ports
    const { clock, random, group } = ports
    this.members = new Members({
      clock,
      random,
      dialer: ports.replicaDialer,
      onOpen: (member) => this.#onOpen(member),
      onMessage: ports.onMessage,
      onClose: (member, refusal) => this.#onClose(member, refusal),
    })
    this.#finder = new ConfigurationFinder(
      {
        clock,
        random,
        dialer: ports.configDialer,
        group,
        onConfiguration: (configuration) => this.#onConfiguration(configuration),
        onFruitless: () => this.#askMembers(),
        onRefused: ports.onRefused,
      },
      addresses,
    )
  }

  get configuration(): Configuration | undefined {
    return this.#finder.configuration
  }

  /** A replica's answer to `#askMembers`. */
  onTold(configuration: Configuration | null): void {
    if (configuration !== null) this.#finder.offer(configuration)
  }

  /** Begins to look for the cluster. */
  start(): void {
    this.#finder.need()
  }

  /** The member requests go to now; undefined: none can take them. */
  primary(): Member | undefined {
    if (this.#blockedUntil > 0) return undefined
    const member = this.members.get(this.#primaryId())
    return member?.link?.open === true ? member : undefined
  }

  /** Where a server of the configuration stands, if it said so. */
  zoneOf(id: NodeId): string | undefined {
    return this.configuration?.servers.find((s) => s.id === id)?.zone
  }

  /** The member believed to be primary, whether it can be reached or not. */
  isPrimary(member: Member): boolean {
    return member.id === this.#primaryId()
  }

  /** The primary answered: what was doubted about it is settled. */
  onProgress(member: Member): void {
    if (this.#refusals > 0 && this.isPrimary(member)) {
      this.#refusals = 0
      this.#unblock()
    }
    if (this.#newestEpoch <= (this.configuration?.epoch ?? 0) && this.isPrimary(member)) this.#finder.enough()
  }

  /** A replica answered reads while no request waits for the primary: nobody misses a newer configuration. */
  onReadProgress(epoch: Epoch): void {
    const known = this.configuration?.epoch ?? 0
    if (epoch >= known && this.#newestEpoch <= known && this.primary() !== undefined) this.#finder.enough()
  }

  /** A server spoke of this epoch. */
  onEpoch(epoch: Epoch): void {
    if (epoch <= this.#newestEpoch) return
    this.#newestEpoch = epoch
    if (epoch > (this.configuration?.epoch ?? 0)) this.#finder.need()
  }

  /** `member` is not the primary, or is behind; `primary` is whom it names. */
  onNotPrimary(member: Member, primary: NodeId | ''): void {
    // Frames that were sent before its first refusal are refused as well: one answer is enough.
    if (!this.isPrimary(member) || this.#blockedUntil > 0) return
    if (primary !== '' && primary !== member.id) this.#take(primary)
    else this.#hint = undefined
    // One that is named and can be reached tells by its answers of the epoch to look up; a hand-over needs no question before that.
    if (this.#refusals > 0 || this.primary() === undefined || this.isPrimary(member)) this.#finder.need()
    // Two servers that name each other, or a primary not yet activated: the first time at once, then with growing pauses.
    const n = this.#refusals++
    if (n > 0 || this.isPrimary(member)) this.#block(backoffMs(n, MOVED_BASE_MS, MOVED_MAX_MS, this.#ports.random))
    this.#ports.onChange()
  }

  /** A primary tells of the members of an epoch that is being prepared. */
  onAnnounced(servers: readonly ServerEntry[]): void {
    this.#announced = { servers, until: this.#ports.clock.now() + ANNOUNCED_MS }
    this.#follow()
  }

  /** `member` owes answers and says nothing. Severe: also give up its link. */
  onSilent(member: Member, severe: boolean): void {
    this.#finder.need()
    if (severe) this.members.restart(member, 'connected, but silent')
  }

  /** While calls wait, a few times per silenceMs: a primary that cannot be reached is looked up again, a dial that hangs repeated. */
  tick(now: Millis, silenceMs: number): void {
    this.members.tick(now)
    if (this.primary() !== undefined || this.#blockedUntil > 0) return
    this.#finder.need()
    for (const member of this.members.all()) {
      const hangs = member.link?.open === false && now - member.heardAt > DIAL_SILENCES * silenceMs
      if (hangs) this.members.restart(member, 'no answer to the attempt to connect')
    }
  }

  /** The code for a call that found nobody. */
  unreachableCode(): ErrorCode {
    return this.#finder.refused ?? this.#refusedBy ?? 'UNAVAILABLE'
  }

  describe(): string {
    return [this.#finder.describe(), this.members.describe()].filter((part) => part !== '').join('; ')
  }

  close(): void {
    this.#cancelBlock?.()
    this.#finder.close()
    this.members.close()
  }

  // The config servers this clerk knows may all have been replaced since it asked them last; replicas hear of the new ones.
  #askMembers(): void {
    const { group } = this.#ports
    for (const { link } of this.members.all())
      if (link?.open === true) link.send({ kind: 'getConfig', requestId: 0, group })
  }

  #primaryId(): NodeId | '' {
    const hint = this.#hint
    if (hint !== undefined) {
      if (this.#ports.clock.now() < hint.until) return hint.id
      this.#hint = undefined
    }
    return this.configuration?.members[0] ?? ''
  }

  #take(id: NodeId): void {
    if (!this.#known.some((s) => s.id === id)) return
    this.#hint = { id, until: this.#ports.clock.now() + HINT_MS }
    if (this.members.get(id) === undefined) this.#follow()
  }

  #follow(): void {
    const { configuration } = this
    if (configuration === undefined) return
    const ids = new Set(configuration.members)
    if (this.#hint !== undefined) ids.add(this.#hint.id)
    for (const { id } of this.#announcedNow) ids.add(id)
    this.members.follow(this.#known.filter((s) => ids.has(s.id)))
  }

  get #announcedNow(): readonly ServerEntry[] {
    const announced = this.#announced
    return announced === undefined || this.#ports.clock.now() >= announced.until ? [] : announced.servers
  }

  /** Servers of the configuration, and those announced that it does not have. */
  get #known(): readonly ServerEntry[] {
    const servers = this.configuration?.servers ?? []
    return [...servers, ...this.#announcedNow.filter((s) => servers.every((own) => own.id !== s.id))]
  }

  #onConfiguration(configuration: Configuration): void {
    const begun = configuration.epoch > this.#adoptedEpoch
    this.#adoptedEpoch = configuration.epoch
    if (begun) {
      // The primary of a new epoch is the newest word, whatever was hinted, announced or refused before.
      this.#hint = undefined
      this.#announced = undefined
      this.#refusals = 0
      this.#unblock()
    }
    this.#newestEpoch = Math.max(this.#newestEpoch, configuration.epoch)
    this.#follow()
    if (begun) for (const member of this.members.all()) this.#tellZone(member)
    // A change that begins no epoch (a reservation, a new server) does not bring back a primary that was lost; and an epoch already
    // heard of is still to be found.
    const lost = !begun && this.primary() === undefined
    if (lost || configuration.epoch < this.#newestEpoch) this.#finder.need()
    this.#ports.onChange()
  }

  // A primary counts where its writes come from; a server that was rebuilt from disk knows nothing of its connections.
  #tellZone(member: Member): void {
    const { zone } = this.#ports
    if (zone !== '' && member.link?.open === true) member.link.send({ kind: 'zone', zone })
  }

  #onOpen(member: Member): void {
    this.#refusedBy = undefined
    this.#tellZone(member)
    if (this.isPrimary(member) && this.#newestEpoch <= (this.configuration?.epoch ?? 0)) this.#finder.enough()
    this.#ports.onChange()
  }

  #onClose(member: Member, refusal: string | undefined): void {
    this.#refusedBy = lastingRefusal(refusal) ?? this.#refusedBy
    if (this.isPrimary(member)) this.#finder.need()
    this.#ports.onChange()
  }

  #block(ms: number): void {
    const { clock } = this.#ports
    this.#cancelBlock?.()
    this.#blockedUntil = clock.now() + ms
    this.#cancelBlock = clock.after(ms, () => {
      this.#unblock()
      this.#ports.onChange()
    })
  }

  #unblock(): void {
    this.#blockedUntil = 0
    this.#cancelBlock?.()
    this.#cancelBlock = undefined
  }
}
