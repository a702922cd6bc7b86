// In which order servers are restarted. Config servers first, for a fault shows there without touching a member, and their leader last, so
// that it is elected once; then spares, backups, and the primary last, which by then can hand over to a member that was restarted.
import type { NodeId } from '@coppice/protocol'
import type { Health, Seen } from './health.js'

export type Part = 'config server' | 'config leader' | 'spare' | 'backup' | 'primary'

export interface Target {
  readonly id: NodeId
  readonly kind: Seen['kind']
  readonly address: string
  /** What it is now; a hand-over or an election changes it. */
  readonly part: Part
}

const ORDER: readonly Part[] = ['config server', 'config leader', 'spare', 'backup', 'primary']

/** All servers that answer, in their order. */
export function targetsOf({ state, servers }: Pick<Health, 'state' | 'servers'>): Target[] {
  const targets = servers
    .filter(({ status }) => status !== undefined)
    .map((seen): Target => ({ id: seen.id, kind: seen.kind, address: seen.address, part: partOf(seen, state.members) }))
  const rank = ({ part }: Target): number => ORDER.indexOf(part)
  return targets.sort((x, y) => rank(x) - rank(y) || (x.id < y.id ? -1 : 1))
}

function partOf({ id, kind, status }: Seen, members: readonly NodeId[]): Part {
  if (kind === 'configsvc') return status?.role === 'leader' ? 'config leader' : 'config server'
  const at = members.indexOf(id)
  return at < 0 ? 'spare' : at === 0 ? 'primary' : 'backup'
}

/** Who takes over from the primary: a backup that need not be restarted any more, if there is one; undefined: there is no backup. */
export function successorOf(members: readonly NodeId[], remaining: ReadonlySet<NodeId>): NodeId | undefined {
  const backups = members.slice(1)
  return backups.find((id) => !remaining.has(id)) ?? backups[0]
}
