// The members that an operator's change leaves, primary first; and why there is no such change.
import type { ConfigState, NodeId } from '@coppice/protocol'
import { CliError, EXIT } from '../base/exit.js'

export type Change =
  | { readonly kind: 'to'; readonly ids: readonly NodeId[] }
  | { readonly kind: 'add'; readonly ids: readonly NodeId[] }
  | { readonly kind: 'remove'; readonly ids: readonly NodeId[] }
  | { readonly kind: 'replace'; readonly old: NodeId; readonly by: NodeId }

type Known = Pick<ConfigState, 'members' | 'servers' | 'params'>

/** Members after the change. The primary stays first; when it goes, the member behind it leads. Throws a CliError that says what to do. */
export function membersAfter(state: Known, change: Change): NodeId[] {
  const { members } = state
  if (change.kind === 'to') return checkedList(state, change.ids)
  if (members.length === 0) throw new CliError(EXIT.conditionNotMet, 'the group has no members yet')
  if (change.kind === 'add') {
    for (const id of checkedList(state, change.ids)) refuseMember(state, id)
    return [...members, ...change.ids]
  }
  if (change.kind === 'remove') {
    for (const id of checkedList(state, change.ids)) refuseStranger(state, id)
    const left = members.filter((id) => !change.ids.includes(id))
    refuseTooFew(state, left)
    return left
  }
  checkedList(state, [change.old, change.by])
  refuseStranger(state, change.old)
  refuseMember(state, change.by)
  // A new primary would be a server that nobody has seen lead: it takes the place of the last.
  if (change.old === members[0]) return [...members.slice(1), change.by]
  return members.map((id) => (id === change.old ? change.by : id))
}

/** Fewest members an automatic change may leave, of a group that should have `wanted`. */
export function minReplicasOf({ params }: Known, wanted: number): number {
  return params.minReplicas ?? Math.floor(wanted / 2) + 1
}

/** How many of so many members may fail before the group stops. */
export function toleratedFailures(state: Known, wanted: number): number {
  return Math.max(0, wanted - minReplicasOf(state, wanted))
}

function checkedList({ servers }: Known, ids: readonly NodeId[]): NodeId[] {
  if (ids.includes('')) throw new CliError(EXIT.usage, 'an id is empty')
  const twice = ids.find((id, i) => ids.indexOf(id) !== i)
  if (twice !== undefined) throw new CliError(EXIT.usage, `${twice} is named twice`)
  const known = servers.map(({ id }) => id)
  const unknown = ids.find((id) => !known.includes(id))
  if (unknown === undefined) return [...ids]
  const names = known.length === 0 ? 'none has' : `known: ${[...known].sort().join(', ')}`
  throw new CliError(EXIT.notFound, `no replica named ${unknown} has registered; ${names}`)
}

function refuseMember({ members, servers }: Known, id: NodeId): void {
  if (!members.includes(id)) return
  const spares = servers.map((s) => s.id).filter((other) => !members.includes(other))
  const others =
    spares.length === 0 ? 'there is no spare; start one more replica' : `spares: ${spares.sort().join(', ')}`
  throw new CliError(EXIT.conditionNotMet, `${id} is a member already; ${others}`)
}

function refuseStranger({ members }: Known, id: NodeId): void {
  if (members.includes(id)) return
  throw new CliError(EXIT.conditionNotMet, `${id} is not a member; members: ${members.join(', ')}`)
}

function refuseTooFew(state: Known, left: readonly NodeId[]): void {
  if (left.length === 0) throw new CliError(EXIT.conditionNotMet, 'a group keeps one member at least')
  const { minReplicas } = state.params
  if (minReplicas === null || left.length >= minReplicas) return
  throw new CliError(
    EXIT.conditionNotMet,
    `${left.length} ${left.length === 1 ? 'member' : 'members'} would be left, minReplicas is ${minReplicas}. ` +
      `To do it all the same: coppice reconfigure --to ${left.join(',')}`,
  )
}
