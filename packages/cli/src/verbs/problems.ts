// What is wrong with a cluster, in plain words: which servers are missing, how many are needed, what goes on meanwhile, and what to do.
import type { ConfigState, NodeId } from '@coppice/protocol'
import { minReplicasOf } from '../change/member-list.js'

export interface Seen {
  readonly id: NodeId
  readonly role: string
}

/** `dev`: the servers were started by `coppice dev`, which starts them again unless they are held. */
export function problemsOf(state: ConfigState, seen: readonly Seen[], dev: boolean): string[] {
  const answering = new Set(seen.filter(({ role }) => role !== 'unreachable').map(({ id }) => id))
  return [...configProblems(state, seen, answering, dev), ...memberProblems(state, answering, dev)]
}

function configProblems(
  { configServers, members }: ConfigState,
  seen: readonly Seen[],
  answering: ReadonlySet<NodeId>,
  dev: boolean,
): string[] {
  const ids = configServers.map(({ id }) => id)
  const up = ids.filter((id) => answering.has(id))
  const gone = ids.filter((id) => !answering.has(id))
  const needed = Math.floor(ids.length / 2) + 1
  if (up.length < needed) {
    return [
      `the config service is stopped: ${countOf(up, ids, 'config server')}, ${needed} are needed. ` +
        `Missing: ${gone.join(', ')}. ${startAgain(gone, needed - up.length, 'configsvc', dev)} ` +
        `Until then no failed member is replaced, no change of members is possible, and no lease is renewed: writes go on, and ` +
        `reads that ask all members, as long as ${listOf(members)} all stay up.`,
    ]
  }
  if (gone.length > 0) {
    const spare = up.length - needed
    const left = spare === 0 ? 'none more may fail' : `${spare} more may fail`
    return [
      `${listOf(gone)} ${gone.length === 1 ? 'does' : 'do'} not answer: ${countOf(up, ids, 'config server')}, which is enough, but ${left}. ` +
        startAgain(gone, gone.length, 'configsvc', dev),
    ]
  }
  if (seen.some(({ role }) => role === 'leader')) return []
  return ['no config server leads: an election is under way; look again in a few seconds']
}

function memberProblems(state: ConfigState, answering: ReadonlySet<NodeId>, dev: boolean): string[] {
  const { group, members, wanted, servers } = state
  if (members.length === 0) return []
  const up = members.filter((id) => answering.has(id))
  const gone = members.filter((id) => !answering.has(id))
  const spares = servers.map(({ id }) => id).filter((id) => !members.includes(id) && answering.has(id))
  const needed = Math.min(minReplicasOf(state, wanted), members.length)
  if (up.length < needed) {
    const start = startAgain(gone, needed - up.length, 'replica', dev)
    const stopped =
      `group ${group} is stopped: ${countOf(up, members, 'member')}, ${needed} are needed. Missing: ${gone.join(', ')}. ` +
      `${start} Every member has all that was acknowledged, so nothing of it is lost.`
    if (up.length === 0) return [stopped]
    const add = spares.length === 0 ? '' : `, then coppice replica add ${spares.join(' ')}`
    return [
      `${stopped} If they are gone for good, go on with what is there: coppice reconfigure --to ${up.join(',')}${add}`,
    ]
  }
  if (gone.length > 0) {
    const by =
      spares.length === 0 ? ', and there is no spare to take its place' : `; ${listOf(spares)} can take its place`
    return [
      `${listOf(gone)} ${gone.length === 1 ? 'does' : 'do'} not answer: group ${group} goes on without, by itself${by}. ` +
        startAgain(gone, gone.length, 'replica', dev),
    ]
  }
  if (members.length >= wanted || spares.length > 0) return []
  const known = servers.map(({ id }) => id).filter((id) => !members.includes(id))
  const which = known.length === 0 ? 'one more replica' : `${listOf(known)} again, or one more replica`
  return [`group ${group} has ${members.length} of ${wanted} members and no spare that answers: start ${which}`]
}

function countOf(up: readonly NodeId[], all: readonly NodeId[], what: string): string {
  const who = up.length === 0 ? '' : ` (${up.join(', ')})`
  const verb = up.length === 1 ? 'answers' : 'answer'
  return `${up.length === 0 ? 'none' : up.length} of ${all.length} ${what}s ${verb}${who}`
}

function startAgain(gone: readonly NodeId[], atLeast: number, kind: 'configsvc' | 'replica', dev: boolean): string {
  const which = gone.length === 1 ? 'it' : atLeast < gone.length ? `at least ${atLeast} of them` : 'them'
  const id = gone.length === 1 ? gone[0]! : 'ID'
  // What dev killed by accident it starts again by itself.
  return dev
    ? `Start ${which} again: coppice chaos resume ${id}.`
    : `Start ${which} again: coppice server ${kind} --id ${id} …, with the data directory it had.`
}

function listOf(ids: readonly NodeId[]): string {
  return ids.length < 2 ? ids.join('') : `${ids.slice(0, -1).join(', ')} and ${ids.at(-1)}`
}
