// The granter's side of leases in one group (PROTOCOL L2, L4). Volatile: a new leader waits out what its predecessors may have granted.
import type { ConfigState, Epoch, Millis, NodeId, Params, Sender } from '@coppice/protocol'

export class Leases {
  /** g[p]: when p was last granted a lease by this leader. */
  private readonly grantedAtByMember = new Map<NodeId, Millis>()
  private readonly electedAt: Millis
  /** An attempt is at or past RELINQUISH: the chosen epoch gets no lease any more. */
  closed = false

  constructor(electedAt: Millis) {
    this.electedAt = electedAt
  }

  /** L2: why no lease may be granted, or undefined. Asked when the request arrives and again after its round. */
  refusal(chosen: ConfigState, from: Sender, epoch: Epoch): string | undefined {
    if (epoch !== chosen.epoch) return `epoch ${epoch} is not the chosen epoch ${chosen.epoch}` // L2: the chosen epoch only
    if (!chosen.members.includes(from.id)) return `${from.id} is not a member of epoch ${epoch}` // L2: members only
    const entry = chosen.servers.find((s) => s.id === from.id)
    if (entry?.storeId !== from.storeId) return `${from.id} is registered with another store` // L2: with their own store
    if (this.closed) return `epoch ${epoch} is being replaced` // L2: no attempt at or past RELINQUISH
    return undefined
  }

  /** A grant leaves now (L2). */
  granted(now: Millis, member: NodeId): void {
    this.grantedAtByMember.set(member, now)
  }

  /** L4: the time at which no lease of `member` can be valid any more: granted by this leader or by one before it. */
  overAt(member: NodeId, params: Params): Millis {
    const byOthers = this.electedAt + params.leaseMs // L4: H_L ≥ electedAt + D
    const granted = this.grantedAtByMember.get(member)
    const byThis = granted === undefined ? -Infinity : granted + params.leaseMs // L4: H_L ≥ g[p] + D
    return Math.max(byOthers, byThis)
  }
}
