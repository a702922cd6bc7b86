// coppice restart: restarts the processes of a cluster one after the other, while clients go on.
import type { Command } from 'commander'
import { settingsFor, withAdmin, withDb } from '../base/context.js'
import { CliError, EXIT } from '../base/exit.js'
import { durationOption } from '../base/options.js'
import { note, print, printJson, table } from '../base/output.js'
import { alone } from '../restart/alone.js'
import type { Health } from '../restart/health.js'
import { successorOf, targetsOf } from '../restart/order.js'
import type { Target } from '../restart/order.js'
import { rollingRestart, wholeToBegin } from '../restart/rolling.js'
import { restartByCommand, restartByDev } from '../restart/ways.js'
import type { Restart } from '../restart/ways.js'

const DEFAULT_TIMEOUT_MS = 10_000
const DEFAULT_WITHIN_MS = 120_000

interface RestartFlags {
  readonly exec?: string
  readonly dryRun?: boolean
  readonly within: number
}

export function addRestart(program: Command): void {
  program
    .command('restart [ids...]')
    .description('restart all servers, or these, one after the other, while clients go on')
    .option(
      '--exec <command>',
      'restarts one server; {id}, {host}, {port}, {address}, {kind} stand for its own (default: "coppice dev" restarts it)',
    )
    .option('--within <duration>', 'for each step, until the cluster is whole again', durationOption, DEFAULT_WITHIN_MS)
    .option('--dry-run', 'only print the plan')
    .addHelpText(
      'after',
      `
Config servers first, their leader last; then spares and backups; the primary hands over and is restarted last. Each step begins only while
the cluster is whole: all config servers and members answer, one leads, the group has all its members in one epoch, each with a lease.
Otherwise nothing is restarted (exit code 4), or no further server (exit code 1): what is wrong and how to go on is said. A spare that does
not answer is left out. A second restart of the group meanwhile is refused (exit code 4). The command must end its server by SIGTERM, as systemd does, and start it again; a member then leaves its group
before it ends, and comes back with what it missed.

Examples:
  coppice restart --dry-run
  coppice restart                                     (a cluster of "coppice dev")
  coppice restart --config 10.0.0.1:7101,10.0.0.2:7101 --exec 'ssh {host} systemctl restart coppice-{id}'
  coppice restart r2 r3`,
    )
    .action(async (ids: string[], _flags, command: Command) => {
      const settings = settingsFor(command)
      const { exec, dryRun, within } = command.opts<RestartFlags>()
      const isJson = settings.output === 'json'
      // How is known before the cluster is asked anything; a plan needs no way to carry it out.
      const restart: Restart | undefined =
        exec !== undefined ? restartByCommand(exec) : dryRun === true ? undefined : restartByDev(settings)
      await withAdmin(settings, DEFAULT_TIMEOUT_MS, async (admin) => {
        const health = await wholeToBegin(admin)
        const chosen = chosenOf(health, ids)
        for (const line of remarks(health, chosen)) note(line)
        if (dryRun === true || restart === undefined) return showPlan(isJson, health, chosen)
        const all = chosen.map(({ id }) => id)
        const options = { admin, restart, withinMs: within, onProgress: note }
        const steps = await withDb(settings, DEFAULT_TIMEOUT_MS, (db) =>
          alone(db, (signal) => rollingRestart(all, { ...options, signal })),
        )
        if (isJson) printJson({ restarted: all, steps })
        else
          print(
            table(
              ['step', 'server', 'part', 'took ms', 'write pause ms'],
              steps.map(({ action, id, part, tookMs, writePauseMs }) => [action, id, part, tookMs, writePauseMs]),
            ),
          )
      })
    })
}

/** Those named, or all, in their order. */
function chosenOf(health: Health, ids: readonly string[]): Target[] {
  const targets = targetsOf(health)
  for (const id of ids)
    if (!health.servers.some((each) => each.id === id))
      throw new CliError(
        EXIT.notFound,
        `no server named ${id}; there are ${health.servers.map((each) => each.id).join(', ')}`,
      )
  const silent = ids.find((id) => !targets.some((target) => target.id === id))
  if (silent !== undefined)
    throw new CliError(EXIT.conditionNotMet, `${silent} does not answer, so it is not restarted`)
  return ids.length === 0 ? targets : targets.filter(({ id }) => ids.includes(id))
}

/** What the operator should know beforehand. */
function remarks({ state, servers }: Health, chosen: readonly Target[]): string[] {
  const lines = servers
    .filter(({ status }) => status === undefined)
    .map(({ id }) => `${id} does not answer and is no member: it is left out`)
  const least = state.params.minReplicas ?? Math.floor(state.wanted / 2) + 1
  const touched = chosen.some(({ id }) => state.members.includes(id))
  if (touched && state.members.length <= least)
    lines.push(
      `group ${state.group} cannot do without one of its ${state.members.length} members: calls wait while one is restarted`,
    )
  if (chosen.some(({ kind }) => kind === 'configsvc') && state.configServers.length === 1)
    lines.push('there is one config server: nothing can be changed, and no client can begin, while it is restarted')
  return lines
}

function showPlan(isJson: boolean, { state }: Health, chosen: readonly Target[]): void {
  const remaining = new Set(chosen.map(({ id }) => id))
  const steps = chosen.flatMap(({ id, part }) => {
    remaining.delete(id)
    const to = part === 'primary' ? successorOf(state.members, remaining) : undefined
    const restart = { action: 'restart', id, part, to: null }
    return to === undefined ? [restart] : [{ action: 'handover', id, part, to }, restart]
  })
  if (isJson) return printJson({ dryRun: true, steps })
  print(
    table(
      ['step', 'server', 'part', 'to'],
      steps.map(({ action, id, part, to }) => [action, id, part, to ?? '-']),
    ),
  )
}
