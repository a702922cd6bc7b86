// coppice status: every process of the cluster with what it says about itself.
import type { AdminClient } from '@coppice/clerk'
import type { Affinity, ConfigState, ProcessStatus, ServerEntry } from '@coppice/protocol'
import type { Command } from 'commander'
import { askServer } from '../base/ask-server.js'
import { configAddresses, devCluster, settingsFor, withAdmin } from '../base/context.js'
import { EXIT, exitCodeOf, messageOf } from '../base/exit.js'
import { note, paint, print, printJson, table } from '../base/output.js'
import type { Settings } from '../base/settings.js'
import { problemsOf } from './problems.js'

const DEFAULT_TIMEOUT_MS = 5_000
const WATCH_MS = 1_000
/** Of a server that is known by its address alone. */
const UNKNOWN = '?'

/** One line of the answer; a process that does not answer has only what others know of it. */
type Line = Pick<ProcessStatus, 'id' | 'group' | 'address' | 'note'> & {
  readonly role: ProcessStatus['role'] | 'unreachable'
  /** Where a replica stands, as the register has it; null: it has not said. */
  readonly zone: string | null
  readonly pid: number | null
  readonly uptimeMs: number | null
  readonly epoch: number | null
  readonly nextIndex: number | null
  readonly commitIndex: number | null
  readonly durableIndex: number | null
  readonly lease: ProcessStatus['lease'] | null
}
interface Status {
  readonly clusterId: string | null
  readonly group: string
  readonly epoch: number | null
  readonly leader: string | null
  readonly primary: string | null
  readonly members: readonly string[]
  /** Whether the primary follows the zone that most writes come from. */
  readonly affinity: Affinity['mode'] | null
  /** Ids of those that do not answer. */
  readonly unreachable: readonly string[]
  /** What is wrong and what to do, in plain words; empty when all is well. */
  readonly problems: readonly string[]
  readonly processes: readonly Line[]
}

export function addStatus(program: Command): void {
  program
    .command('status')
    .description('every process with its role, pid, zone, epoch, indexes and lease')
    .option('-w, --watch', 'again every second, until Ctrl-C')
    .addHelpText(
      'after',
      '\nExit code 0 as long as a config server tells of the group, also when some processes do not answer: they are named.\n' +
        '\nExamples:\n  coppice status\n  coppice status -o json | jq .processes\n  coppice status -w',
    )
    .action(async (_flags, command: Command) => {
      const settings = settingsFor(command)
      for (;;) {
        const { status, failure } = await statusOf(settings)
        if (
          command.opts<{ watch?: boolean }>().watch === true &&
          process.stdout.isTTY === true &&
          settings.output === 'table'
        )
          process.stdout.write('\u001b[H\u001b[2J')
        show(settings, status)
        if (failure !== undefined) note(`${paint('red', 'error:', process.stderr)} ${messageOf(failure)}`)
        if (command.opts<{ watch?: boolean }>().watch !== true) {
          process.exitCode = failure === undefined ? EXIT.ok : exitCodeOf(failure)
          return
        }
        await new Promise((resolve) => setTimeout(resolve, WATCH_MS))
      }
    })
}

/** Asks everybody. Without a quorum `failure` says so, and the lines are of those that answer nevertheless. */
async function statusOf(settings: Settings): Promise<{ status: Status; failure: unknown }> {
  return withAdmin(settings, DEFAULT_TIMEOUT_MS, async (admin) => {
    let failure: unknown
    const view = await admin.getGroup().catch((error: unknown) => {
      failure = error
      return undefined
    })
    const asked = await Promise.all(serversOf(settings, view?.state).map((known) => ask(admin, settings.group, known)))
    // An address in --config that the register does not know is of a config server that was removed, or waits to be added, or it is nobody's.
    const lines = asked.filter(({ id, role }) => view === undefined || id !== UNKNOWN || role !== 'unreachable')
    const status = {
      clusterId: view?.state.clusterId ?? null,
      group: settings.group,
      epoch: view?.state.epoch ?? null,
      leader: lines.find(({ role }) => role === 'leader')?.id ?? null,
      primary: view?.state.members[0] ?? null,
      members: view?.state.members ?? [],
      affinity: view?.state.params.affinity.mode ?? null,
      unreachable: lines.filter(({ role }) => role === 'unreachable').map(({ id }) => id),
      problems: view === undefined ? [] : problemsOf(view.state, lines, isDev(settings)),
      processes: lines,
    }
    return { status, failure }
  })
}

function isDev(settings: Settings): boolean {
  return settings.config === undefined && devCluster(settings) !== undefined
}

interface Known {
  readonly id: string
  readonly address: string
  readonly kind: 'config' | 'replica'
  readonly zone: string | null
}

type Placed = Pick<ServerEntry, 'id' | 'address' | 'zone'>

// What the register knows, and what a dev cluster's file knows beyond it (a replica that has not registered yet).
function serversOf(settings: Settings, state: ConfigState | undefined): Known[] {
  const byAddress = new Map<string, Known>()
  const add = (kind: Known['kind'], servers: readonly Placed[]): void => {
    for (const { id, address, zone } of servers)
      if (!byAddress.has(address)) byAddress.set(address, { id, address, kind, zone: zone ?? null })
  }
  const dev = isDev(settings) ? devCluster(settings) : undefined
  add('config', state?.configServers ?? [])
  add('config', dev?.configServers ?? [])
  add(
    'config',
    configAddresses(settings).map((address) => ({ id: UNKNOWN, address })),
  )
  add('replica', state?.servers ?? [])
  add('replica', dev?.replicas ?? [])
  return [...byAddress.values()].sort((x, y) => order(x) - order(y) || (x.id < y.id ? -1 : 1))
}

function order({ kind }: Known): number {
  return kind === 'config' ? 0 : 1
}

async function ask(admin: AdminClient, group: string, { id, address, kind, zone }: Known): Promise<Line> {
  const answer = await askServer(admin, kind, address)
  if ('silence' in answer) {
    const unknown = {
      pid: null,
      uptimeMs: null,
      epoch: null,
      nextIndex: null,
      commitIndex: null,
      durableIndex: null,
      lease: null,
    }
    return { id, group, role: 'unreachable', address, zone, ...unknown, note: answer.silence }
  }
  const { role, pid, uptimeMs, epoch, nextIndex, commitIndex, durableIndex, lease, note: remark } = answer
  return {
    id: answer.id,
    group: answer.group,
    role,
    pid,
    uptimeMs,
    address,
    zone,
    epoch,
    nextIndex,
    commitIndex,
    durableIndex,
    lease,
    note: remark,
  }
}

function show(settings: Settings, status: Status): void {
  if (settings.output === 'json') {
    printJson(status)
    return
  }
  // A column that says nothing is not shown.
  const zoned = status.processes.some(({ zone }) => zone !== null)
  const rows = status.processes.map(
    ({ id, role, pid, address, zone, epoch, nextIndex, commitIndex, lease, note: remark }) => [
      id,
      role,
      pid ?? '-',
      address,
      ...(zoned ? [zone ?? '-'] : []),
      epoch ?? '-',
      nextIndex ?? '-',
      commitIndex ?? '-',
      lease === null || lease === 'none' ? '-' : `${Math.round(lease)} ms`,
      remark,
    ],
  )
  const follows = status.affinity === 'auto' ? ', the primary follows its writers' : ''
  print(`cluster ${status.clusterId ?? 'unknown'}, group ${status.group}, epoch ${status.epoch ?? 'unknown'}${follows}`)
  print(
    table(
      ['id', 'role', 'pid', 'address', ...(zoned ? ['zone'] : []), 'epoch', 'next', 'commit', 'lease', 'note'],
      rows,
    ),
  )
  const { unreachable, processes, problems } = status
  for (const problem of problems) print(paint('yellow', problem))
  if (unreachable.length === 0) return
  const head = `${unreachable.length} of ${processes.length} processes ${unreachable.length === 1 ? 'does' : 'do'} not answer`
  print(
    paint(
      'yellow',
      `${head}: ${unreachable.map((id) => (status.members.includes(id) ? `${id} (member)` : id)).join(', ')}`,
    ),
  )
}
