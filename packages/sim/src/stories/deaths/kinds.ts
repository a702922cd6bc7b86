// The kinds of change whose arrows are watched: how each begins, who is who in it, and whom its arrows reach.
import type { NodeId } from '@coppice/protocol'
import type { Cluster } from '../../cluster.js'
import type { Arrow } from './arrows.js'
import type { Change } from './watched-change.js'

export const VICTIMS = ['controller', 'source', 'target', 'oldPrimary', 'newPrimary'] as const
/** Who falls, by its part in the change. */
export type Victim = (typeof VICTIMS)[number]

/** Machines by name; in a failover the next members are known from ENTER on. */
export interface Cast {
  /** Members of the epoch that ends, primary first. */
  readonly prev: readonly NodeId[]
  /** Members of the next epoch, primary first. */
  readonly next: readonly NodeId[]
}

/**
 * A kind of change.
 * @internal
 */
export interface Kind {
  readonly name: 'failover' | 'replace one' | 'replace all' | 'hand-over'
  readonly spares: number
  /** Arrows that such a change does not have: a drained primary needs no SEAL. */
  readonly without: readonly Arrow[]
  next(c: Cluster, prev: readonly NodeId[]): readonly NodeId[]
  begin(c: Cluster, cast: Cast): void
}

const operator = (c: Cluster, { next }: Cast): void =>
  c.requestReconfiguration(next.map((id) => c.replicas.find((r) => r.id === id)!))
const spares = (c: Cluster, prev: readonly NodeId[]): NodeId[] =>
  c.replicas.map((r) => r.id).filter((id) => !prev.includes(id))

export const KINDS: readonly Kind[] = [
  {
    name: 'failover',
    spares: 1,
    without: ['learn', 'fetch', 'drain', 'relinquish'],
    next: (_c, prev) => prev.slice(1),
    begin: (c, { prev }) => c.replicas.find((r) => r.id === prev[0])!.crash(),
  },
  // The primary leaves, a backup becomes primary, a spare comes in.
  {
    name: 'replace one',
    spares: 1,
    without: ['seal'],
    next: (c, prev) => [...prev.slice(1), spares(c, prev)[0]!],
    begin: operator,
  },
  { name: 'replace all', spares: 3, without: ['seal'], next: spares, begin: operator },
  {
    name: 'hand-over',
    spares: 1,
    without: ['learn', 'fetch', 'seal', 'relinquish'],
    next: (_c, prev) => [prev[1]!, prev[0]!, prev[2]!],
    begin: (c, { next }) => c.requestHandover(c.replicas.find((r) => r.id === next[0])!),
  },
]

/** The machine that a victim is now. */
export function victimOf(victim: Victim, { c, cast, arrows }: Change): NodeId | undefined {
  const next = arrows.next.length > 0 ? arrows.next : cast.next
  switch (victim) {
    case 'controller':
      return c.leader?.id
    case 'source':
      // Who shipped last; before anything was shipped, who will ship to learners.
      return arrows.source ?? cast.prev.at(-1)
    case 'target':
      return next.at(-1)
    case 'oldPrimary':
      return cast.prev[0]
    case 'newPrimary':
      return next[0]
  }
}

/** Whether an arrow of this change goes to that machine. */
export function reaches(arrow: Arrow, id: NodeId, { cast, arrows }: Change): boolean {
  const { prev } = cast
  const next = arrows.next.length > 0 ? arrows.next : cast.next
  switch (arrow) {
    case 'reserve':
    case 'activate':
      return false
    case 'learn':
      return next.includes(id) && !prev.includes(id)
    case 'drain':
      return id === prev[0] || id === next[0]
    case 'fetch':
      return id === arrows.source
    case 'seal':
      return prev.includes(id)
    case 'enter':
    case 'push':
      return next.includes(id)
    case 'relinquish':
      return prev.includes(id) && !next.includes(id)
    case 'append':
      return next.slice(1).includes(id)
  }
}
