// What a change of members would do, before anything is done: who joins with how many bytes, who leaves, what the group then tolerates.
import type { AdminClient } from '@coppice/clerk'
import type { ConfigState, NodeId, ProcessStatus } from '@coppice/protocol'
import { askServer } from '../base/ask-server.js'
import type { Answer } from '../base/ask-server.js'
import { bytesText } from '../base/output.js'
import { minReplicasOf, toleratedFailures } from './member-list.js'

export interface Joining {
  readonly id: NodeId
  readonly answers: boolean
  /** Roughly: entries of the log, or a copy of the state. */
  readonly how: 'none' | 'delta' | 'full'
  readonly bytes: number
}

export interface Preview {
  readonly epoch: number
  readonly before: readonly NodeId[]
  readonly after: readonly NodeId[]
  readonly joining: readonly Joining[]
  readonly leaving: readonly NodeId[]
  /** Members that an automatic change would leave at least, after the change; and how many may fail until the group stops. */
  readonly minReplicas: number
  readonly toleratedFailures: number
  /** Why the config service would refuse; null: it would not. */
  readonly problem: string | null
  /** The command that takes the change back; null where there was no member before. */
  readonly undo: string | null
}

export async function askReplicas(
  admin: AdminClient,
  state: ConfigState,
  ids: readonly NodeId[],
): Promise<ReadonlyMap<NodeId, Answer>> {
  const asked = ids.map(async (id): Promise<[NodeId, Answer]> => {
    const { address } = state.servers.find((server) => server.id === id)!
    return [id, await askServer(admin, 'replica', address)]
  })
  return new Map(await Promise.all(asked))
}

export function previewOf(state: ConfigState, after: readonly NodeId[], answers: ReadonlyMap<NodeId, Answer>): Preview {
  const before = state.members
  const said = (id: NodeId): ProcessStatus | undefined => {
    const answer = answers.get(id)
    return answer === undefined || 'silence' in answer ? undefined : answer
  }
  // The one that new members learn from: a backup has more time than the primary.
  const source = before.map(said).findLast((status) => status !== undefined)
  const joining = after
    .filter((id) => !before.includes(id))
    .map((id): Joining => ({ id, answers: said(id) !== undefined, ...shippedTo(said(id), source) }))
  const silent = after.filter((id) => said(id) === undefined)
  const problem = silent.length === 0 ? null : silenceText(silent, answers)
  return {
    epoch: state.epoch,
    before,
    after,
    joining,
    leaving: before.filter((id) => !after.includes(id)),
    minReplicas: minReplicasOf(state, after.length),
    toleratedFailures: toleratedFailures(state, after.length),
    problem,
    undo: before.length === 0 ? null : undoOf(before),
  }
}

export function undoOf(before: readonly NodeId[]): string {
  return `coppice reconfigure --to ${before.join(',')}`
}

export function previewText(p: Preview): string {
  const same = p.before.join() === p.after.join()
  const lines = [
    `members  ${p.before.join(', ') || '-'}  →  ${p.after.join(', ')}${same ? ' (no change)' : ''}`,
    `primary  ${p.before[0] ?? '-'}${p.before[0] === p.after[0] ? ' stays' : `  →  ${p.after[0]}`}`,
    ...p.joining.map((each) => `joins    ${each.id}: ${joinText(each)}`),
    ...p.leaving.map((id) => `leaves   ${id}: stays registered, as a spare`),
    `then     ${tolerates(p)}`,
    ...(p.problem === null ? [] : [`refused  ${p.problem}`]),
    ...(p.undo === null || same ? [] : [`undo     ${p.undo}`]),
  ]
  return lines.join('\n')
}

function joinText({ answers, how, bytes }: Joining): string {
  if (!answers) return 'does not answer'
  if (how === 'none') return 'has everything already'
  const what = how === 'delta' ? 'entries of the log' : 'a copy of the state'
  return `learns about ${bytesText(bytes)} (${what}) before anything stops`
}

function tolerates({ after, minReplicas, toleratedFailures: n }: Preview): string {
  const failures = n === 0 ? 'no failure' : n === 1 ? 'one failure' : `${n} failures`
  const rest = `minReplicas is ${minReplicas}`
  return `${after.length} ${after.length === 1 ? 'member' : 'members'}, which ${after.length === 1 ? 'tolerates' : 'tolerate'} ${failures} (${rest})`
}

function silenceText(silent: readonly NodeId[], answers: ReadonlyMap<NodeId, Answer>): string {
  const why = silent.map((id) => {
    const answer = answers.get(id)
    return `${id} does not answer${answer !== undefined && 'silence' in answer ? ` (${answer.silence})` : ''}`
  })
  return `${why.join('; ')}: start ${silent.length === 1 ? 'it' : 'them'} first`
}

/** By how far the logs reach; where their histories differ it may be more. */
function shippedTo(
  target: ProcessStatus | undefined,
  source: ProcessStatus | undefined,
): Pick<Joining, 'how' | 'bytes'> {
  if (source === undefined) return { how: 'none', bytes: 0 }
  const from = target?.nextIndex ?? 0
  const missing = source.nextIndex - from
  if (missing <= 0) return { how: 'none', bytes: 0 }
  if (from < source.base) return { how: 'full', bytes: source.fullBytes }
  return { how: 'delta', bytes: Math.round((source.logBytes * missing) / (source.nextIndex - source.base)) }
}
