// Notices a data directory of another cluster: its config servers refuse the link by name. A single misdirected one proves nothing and a
// replica that was heard once belongs; but most of them saying so before any has spoken means that the directory is the wrong one.
import type { NodeId } from '@coppice/protocol'
import type { LogFields } from '@coppice/runtime/server'

export class ClusterCheck {
  private readonly configServers: ReadonlySet<NodeId>
  private readonly stored: ReadonlySet<NodeId>
  private readonly refusedBy = new Set<NodeId>()
  private belongs = false

  /** `configServers`: of the command line; `stored`: those that the store knows, which may have taken their place. */
  constructor(configServers: readonly { readonly id: NodeId }[], stored: readonly { readonly id: NodeId }[]) {
    this.configServers = new Set(configServers.map((c) => c.id))
    this.stored = new Set(stored.map((c) => c.id))
  }

  onMessageFrom(id: NodeId): void {
    if (!this.belongs && (this.configServers.has(id) || this.stored.has(id))) this.belongs = true
  }

  /** Fields of a `linkRefused` event. Answers the reason to stop, or undefined. */
  onRefused({ peer, reason, code }: LogFields): string | undefined {
    if (this.belongs || code !== 'WRONG_CLUSTER' || typeof peer !== 'string' || !this.configServers.has(peer))
      return undefined
    this.refusedBy.add(peer)
    if (this.refusedBy.size * 2 <= this.configServers.size) return undefined
    return `belongs to another cluster than its config servers ${[...this.refusedBy].join(', ')}: ${String(reason)}`
  }
}
