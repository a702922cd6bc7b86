// Whether a cluster is whole: every config server and every member answers, one leads, the group has all the members it wants in one epoch,
// each with a lease and with everything committed on its disk. What is not so is said in plain words, with what to do about it.
import type { AdminClient } from '@coppice/clerk'
import type { ConfigState, NodeId, ProcessStatus } from '@coppice/protocol'
import { askServer } from '../base/ask-server.js'

/** Operations that may be committed between the answers of two members. */
const LAG = 10_000

/** A server of the register and what it says about itself. */
export interface Seen {
  readonly id: NodeId
  readonly kind: 'configsvc' | 'replica'
  readonly address: string
  /** When it was asked, by this process's clock, ms. */
  readonly askedAt: number
  /** undefined: it does not answer, for the reason in `silence`. */
  readonly status: ProcessStatus | undefined
  readonly silence: string
}
export interface Health {
  readonly state: ConfigState
  readonly servers: readonly Seen[]
  /** Why the cluster is not whole; empty: it is. */
  readonly problems: readonly string[]
}

/** Asks everybody. Throws when no config server tells of the group. */
export async function lookAt(admin: AdminClient): Promise<Health> {
  const { state } = await admin.getGroup()
  const servers = await Promise.all([
    ...state.configServers.map((server) => see(admin, 'configsvc', server)),
    ...state.servers.map((server) => see(admin, 'replica', server)),
  ])
  return { state, servers, problems: [...configProblems(servers), ...memberProblems(state, servers)] }
}

async function see(
  admin: AdminClient,
  kind: Seen['kind'],
  { id, address }: { readonly id: NodeId; readonly address: string },
): Promise<Seen> {
  const askedAt = performance.now()
  const answer = await askServer(admin, kind === 'configsvc' ? 'config' : 'replica', address)
  if ('silence' in answer) return { id, kind, address, askedAt, status: undefined, silence: answer.silence }
  return { id, kind, address, askedAt, status: answer, silence: '' }
}

function configProblems(servers: readonly Seen[]): string[] {
  const problems: string[] = []
  const configServers = servers.filter(({ kind }) => kind === 'configsvc')
  for (const { id, status, silence, address } of configServers) {
    if (status === undefined) problems.push(`config server ${id} does not answer (${silence}); start it`)
    else if (status.id !== id)
      problems.push(`${address} is the address of config server ${id}, but ${status.id} answers`)
    else if (status.note !== '') problems.push(`config server ${id}: ${status.note}`)
  }
  if (!configServers.some(({ status }) => status?.role === 'leader'))
    problems.push('no config server leads; an election takes a second or two while a majority of them runs')
  return problems
}

function memberProblems({ group, epoch, members, wanted }: ConfigState, servers: readonly Seen[]): string[] {
  const problems: string[] = []
  if (members.length < wanted)
    problems.push(
      `group ${group} has ${members.length} of ${wanted} members (${members.join(', ')}); start the others, or one more replica`,
    )
  const byId = new Map(servers.filter(({ kind }) => kind === 'replica').map((seen) => [seen.id, seen]))
  const committed = byId.get(members[0] ?? '')?.status?.commitIndex ?? 0
  for (const [i, id] of members.entries()) {
    const { status, silence = 'it is not registered' } = byId.get(id) ?? {}
    const role = i === 0 ? 'primary' : 'backup'
    if (status === undefined) problems.push(`member ${id} does not answer (${silence}); start it, or replace it`)
    else if (status.note !== '') problems.push(`member ${id}: ${status.note}`)
    else if (status.epoch !== epoch || status.role !== role)
      problems.push(`member ${id} is ${status.role} of epoch ${status.epoch}, not yet ${role} of epoch ${epoch}`)
    else if (status.lease === 'none') problems.push(`member ${id} holds no lease`)
    else if (status.durableIndex < committed - LAG) problems.push(`member ${id} is behind the primary`)
  }
  return problems
}
