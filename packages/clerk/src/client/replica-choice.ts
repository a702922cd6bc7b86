// Which replica answers what any replica can: one is chosen at random (in the clerk's zone if a member there can be asked) and kept while it
// can be asked.
import type { NodeId, Random } from '@coppice/protocol'
import type { Avoided } from './avoided.js'
import type { Member } from './members.js'
import type { Routing } from './routing.js'

export interface ReplicaChoicePorts {
  readonly random: Random
  readonly routing: Routing
  /** Replicas of it come first; '': all are alike. */
  readonly zone: string
}

export class ReplicaChoice {
  readonly #ports: ReplicaChoicePorts
  readonly #avoided: Avoided
  #preferred: NodeId = ''

  constructor(ports: ReplicaChoicePorts, avoided: Avoided) {
    this.#ports = ports
    this.#avoided = avoided
  }

  // The preferred replica; another open one while that one connects. A lost or avoided one loses its preference, and so does one elsewhere
  // when one of the clerk's zone can be asked (again).
  replica(): Member | undefined {
    const { routing, zone } = this.#ports
    let candidates: Member[] = []
    for (const id of routing.configuration?.members ?? []) {
      const member = routing.members.get(id)
      if (member?.link !== undefined && !this.#avoided.has(id)) candidates.push(member)
    }
    if (zone !== '') {
      const near = candidates.filter(({ id, link }) => link?.open === true && routing.zoneOf(id) === zone)
      if (near.length > 0) candidates = near
    }
    let preferred = candidates.find((member) => member.id === this.#preferred)
    if (preferred === undefined) {
      preferred = this.#anyOf(candidates)
      this.#preferred = preferred?.id ?? ''
    }
    return preferred?.link?.open === true ? preferred : this.#anyOf(candidates.filter((member) => member.link?.open))
  }

  #anyOf(members: readonly Member[]): Member | undefined {
    return members[Math.floor(this.#ports.random() * members.length)]
  }
}
