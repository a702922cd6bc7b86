// Answers to clerks and to the command (PROTOCOL P6): any server answers from the newest it learned and names the leader; only the leader
// takes operators' requests.
import { DEFAULT_GROUP, configurationOf, unreachable } from '@coppice/protocol'
import type {
  ClientToConfig,
  ConfigState,
  ConfigToClient,
  ConnectionId,
  GroupName,
  Millis,
  NodeId,
  ProcessStatus,
} from '@coppice/protocol'
import { isVoter } from './formation.js'
import type { Voters } from './formation.js'
import type { ConfigOptions } from './io.js'
import type { Leadership } from './leadership.js'

/** What the answers are made of. */
export interface Knowledge {
  readonly now: Millis
  readonly options: ConfigOptions
  readonly storeId: string
  readonly voters: Voters
  readonly leadership: Leadership | undefined
  /** '' when no leader was heard lately. */
  readonly leader: NodeId
  learned(group: GroupName): ConfigState | undefined
}

/** The answer; undefined when the leadership took the request and answers later. */
export function answerClient(
  k: Knowledge,
  connection: ConnectionId,
  message: ClientToConfig,
): ConfigToClient | undefined {
  const { requestId } = message
  const { leader } = k
  switch (message.kind) {
    case 'status':
      return { kind: 'statusAnswer', requestId, status: statusOf(k) }
    case 'getConfig': {
      const state = k.learned(message.group)
      return { kind: 'config', requestId, leader, configuration: state === undefined ? null : configurationOf(state) }
    }
    case 'getGroup':
      return { kind: 'groupAnswer', requestId, leader, state: k.learned(message.group) ?? null }
    case 'admin': {
      const taken = k.leadership?.onAdmin(connection, message) ?? 'notYet'
      if (taken === 'taken') return undefined
      const refusal = { requestId: message.adminId, ok: false, message: `group ${message.group} is unknown`, epoch: 0 }
      const result = taken === 'unknownGroup' ? refusal : null // P6: otherwise a leader hint
      return { kind: 'adminAnswer', requestId, leader, result }
    }
    case 'changeConfigServers': {
      const taken = k.leadership?.onChangeConfigServers(connection, message) ?? false
      return taken ? undefined : { kind: 'adminAnswer', requestId, leader, result: null } // P6: a leader hint
    }
    default:
      return unreachable(message)
  }
}

function statusOf(k: Knowledge): ProcessStatus {
  const { id, pid, startedAt, address, version } = k.options
  const uptimeMs = Math.floor(k.now - startedAt)
  const role = k.leadership === undefined ? 'configsvc' : 'leader'
  const epoch = k.learned(DEFAULT_GROUP)?.epoch ?? 0
  const marks = { nextIndex: 0, commitIndex: 0, durableIndex: 0, lease: 'none', sealedFor: 0 } as const
  const sizes = { base: 0, logBytes: 0, fullBytes: 0 }
  return {
    id,
    group: DEFAULT_GROUP,
    role,
    pid,
    uptimeMs,
    address,
    epoch,
    ...marks,
    ...sizes,
    note: noteOf(k).slice(0, 2000),
    version,
  }
}

/** What an operator should know about this server, in plain words. */
function noteOf(k: Knowledge): string {
  if (k.leadership !== undefined) return k.leadership.note
  const { id } = k.options
  if (!isVoter(k.voters, { id, storeId: k.storeId })) {
    const main = k.learned(DEFAULT_GROUP)
    if (main?.formerConfigServers.includes(id) === true)
      return `${id} was removed from the config servers and can be stopped`
    if (!k.voters.servers.some((s) => s.id === id))
      return `${id} has no vote; it waits to be added: coppice configsvc add, or replace`
    return `the store of ${id} is not the one the cluster knows under this name, so it has no vote; its data was lost or replaced`
  }
  if (k.leader !== '') return ''
  const need = k.voters.formed ? 'a majority of' : 'all of'
  return `no leader is known; ${need} ${k.voters.servers.map((s) => s.id).join(', ')} must be up to elect one`
}
