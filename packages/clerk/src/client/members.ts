// Links to the members of the configuration, dialled as soon as they are known (so that a failover finds them open) and redialled
// with jitter while they are members.
import type {
  ClientLink,
  ClientToReplica,
  Clock,
  Dialer,
  Millis,
  NodeId,
  Random,
  ReplicaToClient,
} from '@coppice/protocol'
import { backoffMs } from './backoff.js'

const REDIAL_BASE_MS = 50
const REDIAL_MAX_MS = 1_000
/** More bytes than heartbeats make between two looks: a large answer is on its way. */
const ARRIVING_BYTES = 16 * 1024

export type ReplicaLink = ClientLink<ClientToReplica, ReplicaToClient>

export interface Member {
  readonly id: NodeId
  readonly address: string
  /** Undefined while waiting to dial again. */
  link: ReplicaLink | undefined
  /** When it last said anything, or its link opened. */
  heardAt: Millis
  /** When pieces of something large were arriving last, and how many bytes had been received then. */
  arrivingAt: Millis
  receivedBytes: number
  /** Dials in a row that found nobody. */
  failures: number
  /** What it said last, in plain words. */
  said: string
  cancelRedial: (() => void) | undefined
}

export interface MembersPorts {
  readonly clock: Clock
  readonly random: Random
  readonly dialer: Dialer<ClientToReplica, ReplicaToClient>
  readonly onOpen: (member: Member) => void
  readonly onMessage: (member: Member, message: ReplicaToClient) => void
  /** `link` is the one that is gone. */
  readonly onClose: (member: Member, refusal: string | undefined) => void
}

export class Members {
  readonly #ports: MembersPorts
  readonly #byId = new Map<NodeId, Member>()
  #closed = false

  constructor(ports: MembersPorts) {
    this.#ports = ports
  }

  get(id: NodeId): Member | undefined {
    return this.#byId.get(id)
  }

  all(): IterableIterator<Member> {
    return this.#byId.values()
  }

  /** Keeps links to exactly these servers. */
  follow(wanted: readonly { readonly id: NodeId; readonly address: string }[]): void {
    const addressById = new Map(wanted.map((s) => [s.id, s.address]))
    for (const member of [...this.#byId.values()]) {
      if (addressById.get(member.id) === member.address) continue
      this.#byId.delete(member.id)
      this.#drop(member)
      this.#ports.onClose(member, undefined)
    }
    for (const [id, address] of addressById) {
      if (this.#byId.has(id)) continue
      const member: Member = {
        id,
        address,
        link: undefined,
        heardAt: this.#ports.clock.now(),
        arrivingAt: -Infinity,
        receivedBytes: 0,
        failures: 0,
        said: 'not connected yet',
        cancelRedial: undefined,
      }
      this.#byId.set(id, member)
      this.#dial(member)
    }
  }

  /** Sees on which links something large is arriving; called a few times per silenceMs. */
  tick(now: Millis): void {
    for (const member of this.#byId.values()) {
      const receivedBytes = member.link?.receivedBytes ?? 0
      if (receivedBytes - member.receivedBytes >= ARRIVING_BYTES) member.arrivingAt = now
      member.receivedBytes = receivedBytes
    }
  }

  /** Gives up a link that is open and says nothing, and dials anew: what was sent on it is sent again. */
  restart(member: Member, why: string): void {
    if (this.#byId.get(member.id) !== member || member.link === undefined) return
    this.#drop(member)
    member.said = why
    this.#ports.onClose(member, undefined)
    this.#redialLater(member)
  }

  describe(): string {
    return [...this.#byId.values()].map((m) => `replica ${m.id} at ${m.address}: ${m.said}`).join('; ')
  }

  close(): void {
    this.#closed = true
    for (const member of this.#byId.values()) this.#drop(member)
    this.#byId.clear()
  }

  #dial(member: Member): void {
    const link = this.#ports.dialer.dial(member.address)
    member.link = link
    member.receivedBytes = 0
    member.heardAt = this.#ports.clock.now()
    link.onOpen = () => {
      if (member.link !== link) return
      member.failures = 0
      member.said = 'connected'
      member.heardAt = this.#ports.clock.now()
      this.#ports.onOpen(member)
    }
    link.onMessage = (message) => {
      if (member.link !== link) return
      member.heardAt = this.#ports.clock.now()
      this.#ports.onMessage(member, message)
    }
    link.onClose = (reason, refusal) => {
      if (member.link !== link) return
      member.link = undefined
      member.said = reason
      if (this.#closed) return
      this.#redialLater(member)
      this.#ports.onClose(member, refusal)
    }
  }

  #redialLater(member: Member): void {
    const wait = backoffMs(member.failures++, REDIAL_BASE_MS, REDIAL_MAX_MS, this.#ports.random)
    member.cancelRedial = this.#ports.clock.after(wait, () => {
      member.cancelRedial = undefined
      if (this.#byId.get(member.id) === member && member.link === undefined) this.#dial(member)
    })
  }

  #drop(member: Member): void {
    member.cancelRedial?.()
    member.cancelRedial = undefined
    const { link } = member
    member.link = undefined
    link?.close()
  }
}
