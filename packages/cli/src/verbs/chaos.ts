// coppice chaos: breaks processes of a dev cluster on purpose.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { devCluster, settingsFor, withAdmin } from '../base/context.js'
import { CliError, EXIT } from '../base/exit.js'
import { print, printJson } from '../base/output.js'
import { isRunning } from '../dev/processes.js'
import { HELD_DIR } from '../dev/supervisor.js'
import type { Settings } from '../base/settings.js'
import type { ClusterProcess } from '../dev/cluster-file.js'

export function addChaos(program: Command): void {
  const chaos = program.command('chaos').description('break processes of a dev cluster')
  chaos
    .command('kill')
    .description('kill -9; coppice dev starts it again after a while')
    .argument('<id>', 'of a config server or replica, or "primary"')
    .option('--no-restart', 'keep it down until "coppice chaos resume ID"')
    .addHelpText(
      'after',
      '\nExamples:\n  coppice chaos kill r1\n  coppice chaos kill r1 --no-restart && coppice chaos resume r1',
    )
    .action(async (name: string, flags: { restart: boolean }, command: Command) => {
      const settings = settingsFor(command)
      const target = await targetOf(settings, name)
      if (!flags.restart) {
        mkdirSync(join(settings.data, HELD_DIR), { recursive: true })
        writeFileSync(join(settings.data, HELD_DIR, target.id), '')
      }
      signal(settings, target, 'SIGKILL', 'killed')
    })
  chaos
    .command('pause')
    .description('SIGSTOP: it stands still, with its connections open')
    .argument('<id>', 'of a config server or replica, or "primary"')
    .action(async (name: string, _flags, command: Command) => {
      const settings = settingsFor(command)
      signal(settings, await targetOf(settings, name), 'SIGSTOP', 'paused')
    })
  chaos
    .command('resume')
    .description('let a paused one go on, and a killed one that is kept down start again')
    .argument('<id>', 'of a config server or replica')
    .action(async (name: string, _flags, command: Command) => {
      const settings = settingsFor(command)
      const target = await targetOf(settings, name)
      rmSync(join(settings.data, HELD_DIR, target.id), { force: true })
      if (isRunning(target)) signal(settings, target, 'SIGCONT', 'resumed')
      else report(settings, target, 'starts again')
    })
}

async function targetOf(settings: Settings, name: string): Promise<ClusterProcess> {
  const cluster = devCluster(settings)
  if (cluster === undefined)
    throw new CliError(EXIT.usage, `chaos works on dev clusters only, and there is none in ${settings.data}`)
  const id = name === 'primary' ? await primaryOf(settings) : name
  const all = [...cluster.configServers, ...cluster.replicas]
  const target = all.find((each) => each.id === id)
  if (target !== undefined) return target
  throw new CliError(EXIT.notFound, `no process named ${id}; there are ${all.map((each) => each.id).join(', ')}`)
}

async function primaryOf(settings: Settings): Promise<string> {
  const { members } = await withAdmin(settings, 10_000, (admin) => admin.getConfig())
  if (members[0] === undefined) throw new CliError(EXIT.notFound, 'the group has no primary yet')
  return members[0]
}

function signal(settings: Settings, target: ClusterProcess, name: NodeJS.Signals, done: string): void {
  // The pid may long be another's: only the process that dev started is ever touched.
  if (!isRunning(target)) throw new CliError(EXIT.notFound, `${target.id} is not running`)
  process.kill(target.pid, name)
  report(settings, target, done)
}

function report(settings: Settings, { id, pid }: ClusterProcess, done: string): void {
  if (settings.output === 'json') printJson({ id, pid, done })
  else print(`${id}${pid === 0 ? '' : ` (pid ${pid})`} ${done}`)
}
