// ANNOUNCE (PROTOCOL 2.2): the members of the epoch that is being prepared connect to each other, and the primary tells its clerks to
// connect to them, so that no connection is set up while writes are stopped. Nothing else follows from it.
import type { ConfigToReplica, Epoch } from '@coppice/protocol'
import type { ClerkUpkeep } from './clerk-upkeep.js'
import type { Membership } from './membership.js'
import type { Shared } from './shared.js'

type Announce = Extract<ConfigToReplica, { kind: 'announce' }>

export class Announcement {
  readonly #s: Shared
  readonly #membership: Membership
  readonly #upkeep: ClerkUpkeep
  /** The newest announced; said again it is no news. */
  #epoch: Epoch = 0

  constructor(shared: Shared, membership: Membership, upkeep: ClerkUpkeep) {
    this.#s = shared
    this.#membership = membership
    this.#upkeep = upkeep
  }

  onAnnounce(m: Announce): void {
    const s = this.#s
    // Late, or of an attempt that another one has overtaken.
    if (m.epoch <= this.#epoch || m.epoch <= s.meta.epoch || m.epoch < s.meta.sealedFor) return
    this.#epoch = m.epoch
    if (m.members.some(({ id }) => id === s.options.id)) for (const server of m.members) this.#membership.dial(server)
    if (!s.leading || !s.running || m.prev !== s.meta.epoch) return
    const { epoch, members } = m
    for (const connection of this.#upkeep.connections) s.reply(connection, { kind: 'announced', epoch, members })
  }
}
