// Who may vote, and how a cluster comes into being (PROTOCOL P7; DECISIONS "Formation needs everybody"). Before anything was accepted a
// candidate needs the promises of all configured servers; the first value records their stores, and from then on only those count.
import { DEFAULT_GROUP } from '@coppice/protocol'
import type {
  Accepted,
  ConfigServerEntry,
  ConfigState,
  GroupName,
  NodeId,
  Params,
  Sender,
  Standing,
  StoreId,
} from '@coppice/protocol'
import { compareBallots } from './ballot.js'

/** The servers whose answers count. Before formation the stores are not known and '' stands for any. */
export interface Voters {
  readonly formed: boolean
  readonly servers: readonly ConfigServerEntry[]
}

/** Voters as the register says, or as configured while there is no register. */
export function votersOf(main: ConfigState | undefined, peers: readonly { id: NodeId; address: string }[]): Voters {
  if (main !== undefined) return { formed: true, servers: main.configServers }
  return { formed: false, servers: peers.map((p) => ({ ...p, storeId: '' })) }
}

/** Whether a message of this sender counts: a known id whose store is the recorded one. Another store under the id has amnesia. */
export function isVoter(voters: Voters, sender: Sender): boolean {
  return voters.servers.some((s) => s.id === sender.id && (!voters.formed || s.storeId === sender.storeId))
}

export function majorityOf(voters: Voters): number {
  return Math.floor(voters.servers.length / 2) + 1
}

/** P6: voters by the newer of two values of `main`, so that a server that missed a change does not refuse one that did not. */
export function newerVoters(own: Voters, accepted: Accepted | undefined, standing: Standing): Voters {
  if (standing === null) return own
  const order =
    accepted === undefined ? 1 : compareBallots(standing.ballot, accepted.ballot) || standing.version - accepted.version
  return order > 0 ? { formed: true, servers: standing.configServers } : own
}

export function standingOf(accepted: Accepted | undefined): Standing {
  if (accepted === undefined) return null
  const { ballot, version, value } = accepted
  return { ballot, version, configServers: value.configServers }
}

/** One server's answer to a candidate. */
export interface Promised {
  readonly storeId: StoreId
  readonly address: string
  readonly accepted: readonly Accepted[]
}

/** What a candidate's promises add up to. */
export type Tally =
  /** `voters`: who is to be asked, as far as the promises tell. */
  | { readonly kind: 'waiting'; readonly voters: Voters }
  /** The newest value says that the candidate is no config server. */
  | { readonly kind: 'noVote' }
  /** Elected over an existing register: P2's value of each group, to be recommitted. */
  | { readonly kind: 'adopt'; readonly values: ReadonlyMap<GroupName, ConfigState> }
  /** Elected by everybody and nobody ever accepted anything: the cluster is formed from these stores. */
  | { readonly kind: 'form'; readonly configServers: readonly ConfigServerEntry[] }

export type Won = Extract<Tally, { kind: 'adopt' | 'form' }>

export function tally(
  promises: ReadonlyMap<NodeId, Promised>,
  peers: readonly { id: NodeId; address: string }[],
  self: Sender,
): Tally {
  const main = highest(promises.values(), DEFAULT_GROUP)
  const voters = votersOf(main?.value, peers)
  if (!voters.formed) {
    // P7: with no value anywhere, everybody must say so; a majority could overlook the store that holds one.
    if (!voters.servers.every((s) => promises.has(s.id))) return { kind: 'waiting', voters }
    const configServers = voters.servers.map((s) => {
      const p = promises.get(s.id)!
      return { id: s.id, storeId: p.storeId, address: p.address }
    })
    return { kind: 'form', configServers }
  }
  // P6: the voters are those of the newest value seen, chosen or not; a leader is one of them.
  if (!isVoter(voters, self)) return { kind: 'noVote' }
  const counted = new Map([...promises].filter(([id, p]) => isVoter(voters, { id, storeId: p.storeId })))
  if (counted.size < majorityOf(voters)) return { kind: 'waiting', voters }
  // P2, over all promises: what a server without a vote accepted was proposed on top of everything chosen before it, and the newest value of
  // `main` must be adopted whoever holds it, for its voters were just counted.
  const groups = new Set([...promises.values()].flatMap((p) => p.accepted.map((a) => a.value.group)))
  const values = new Map<GroupName, ConfigState>()
  for (const group of groups) values.set(group, highest(promises.values(), group)!.value)
  return { kind: 'adopt', values }
}

/** P2: the highest (acceptedBallot, acceptedVersion) among the promises. */
function highest(promises: Iterable<Promised>, group: GroupName): Accepted | undefined {
  let best: Accepted | undefined
  for (const p of promises) {
    for (const a of p.accepted) {
      if (a.value.group !== group) continue
      const order = best === undefined ? 1 : compareBallots(a.ballot, best.ballot) || a.version - best.version
      if (order > 0) best = a
    }
  }
  return best
}

/** The first value of a group's register: epoch 0, without members. */
export function genesisState(
  group: GroupName,
  clusterId: string,
  configServers: readonly ConfigServerEntry[],
  wanted: number,
  params: Params,
): ConfigState {
  return {
    clusterId,
    group,
    version: 1,
    epoch: 0,
    members: [],
    start: 0,
    checkpointId: '',
    reservedEpoch: 0,
    wanted,
    servers: [],
    configServers: [...configServers],
    formerConfigServers: [],
    params,
    adminResults: [],
    history: [],
  }
}
