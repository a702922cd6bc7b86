// Operators' requests to one group: checked, queued, answered once, and remembered in the register so that a repeated request gets its
// answer again.
import { MAX_ADMIN_RESULTS } from '@coppice/protocol'
import type { AdminResult, Affinity, ClientToConfig, ConfigState, ConnectionId, NodeId } from '@coppice/protocol'

export type AdminRequest = Extract<ClientToConfig, { kind: 'admin' }>

/** Who waits for the answer. */
export interface Asker {
  readonly connection: ConnectionId
  readonly requestId: number
}

/** A request taken up by this leader and not answered yet. */
export interface PendingAdmin {
  readonly adminId: string
  readonly to: readonly NodeId[]
  /** `to` names the next primary only; the members stay. */
  readonly handover: boolean
  /** Whether the primary shall follow its writers; then nothing else is asked for. */
  readonly affinity: Affinity['mode'] | undefined
  readonly askers: Asker[]
  /** Times a failover overtook it. */
  overtaken: number
}

/** What is wrong with the list of servers itself, naming it; undefined when an attempt may begin. */
export function adminProblem(s: ConfigState, to: readonly NodeId[]): string | undefined {
  if (to.length === 0) return 'no server is named; name at least one'
  for (const [i, id] of to.entries()) if (to.indexOf(id) !== i) return `server ${id} is named twice`
  const known = s.servers.map((e) => e.id)
  const unknown = to.filter((id) => !known.includes(id))
  if (unknown.length === 0) return undefined
  const names = known.length === 0 ? 'none has registered' : `known are ${[...known].sort().join(', ')}`
  return `${unknown.length === 1 ? 'server' : 'servers'} ${unknown.join(', ')} of group ${s.group} unknown; ${names}`
}

/** The register with a result added. */
export function withResult(s: ConfigState, result: AdminResult): ConfigState {
  if (s.adminResults.some((r) => r.requestId === result.requestId)) return s
  return { ...s, adminResults: [...s.adminResults, result].slice(-MAX_ADMIN_RESULTS) }
}
