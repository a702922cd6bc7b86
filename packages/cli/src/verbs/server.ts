// coppice server: one config server or one replica in this process, as it runs in production.
import { DEFAULT_AFFINITY } from '@coppice/protocol'
import type { Logger } from '@coppice/runtime/server'
import type { Command } from 'commander'
import { settingsFor } from '../base/context.js'
import { CliError, EXIT } from '../base/exit.js'
import { findConfigServers } from '../base/find-config-servers.js'
import {
  AFFINITY_MODES,
  addressOption,
  affinityOption,
  countOption,
  idOption,
  namedAddresses,
  someAddresses,
} from '../base/options.js'
import type { AffinityMode } from '../base/options.js'
import { print, printJson } from '../base/output.js'
import type { Settings } from '../base/settings.js'
import { attachToParent } from '../dev/parent.js'

interface Running {
  readonly address: string
  leave?(withinMs: number): Promise<void>
  stop(): Promise<void>
  readonly stopped: Promise<{ readonly exitCode: number; readonly reason: string }>
}
interface ServerFlags {
  readonly id: string
  readonly listen: string
  readonly advertise?: string
  readonly peers?: { id: string; address: string }[]
  readonly join?: string[]
  readonly wanted?: number
  readonly affinity?: AffinityMode
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent'
}

const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent']
/** How long a replica that is told to end waits for its group to go on without it; a part of the deadline for ending in order. */
const LEAVE_MS = 5_000

export function addServer(program: Command): void {
  const server = program.command('server').description('run one server in this process')
  const common = (command: Command): Command =>
    command
      .requiredOption('--id <id>', 'name of this server, unique in the cluster', idOption)
      .requiredOption('--listen <host:port>', 'where it listens', addressOption)
      .option('--advertise <host:port>', 'where others reach it (default: where it listens)', addressOption)
      .option('--log-level <level>', LOG_LEVELS.join(', '), 'info')

  common(server.command('configsvc'))
    .description('run a config server')
    .option('--peers <id=host:port,…>', 'all config servers of a new cluster, this one included', namedAddresses)
    .option(
      '--join <host:port,…>',
      'config servers of a running cluster, which this one is to be added to',
      someAddresses,
    )
    .option('--wanted <n>', 'members that a group shall have', countOption(1), 3)
    .option(
      '--affinity <mode>',
      `${AFFINITY_MODES.join(' or ')}: whether primaries follow their writers`,
      affinityOption,
    )
    .addHelpText(
      'after',
      `
Give every config server of a new cluster the same --peers; one that joins a running cluster gets --join instead, and has no vote until
"coppice configsvc add" or "replace" names it. Both are read at the first start only: later the config servers are those that the data
directory knows. The directory of --data belongs to this server alone. --wanted and --affinity are for groups that are formed while this
server leads; of a group that runs, "coppice affinity" changes the latter.

Example:
  coppice server configsvc --id c1 --listen 10.0.0.1:7101 --peers c1=10.0.0.1:7101,c2=10.0.0.2:7101,c3=10.0.0.3:7101 --data /var/lib/coppice/c1
  coppice server configsvc --id c4 --listen 10.0.0.9:7101 --join 10.0.0.1:7101,10.0.0.2:7101 --data /var/lib/coppice/c4`,
    )
    .action(async (_flags, command: Command) => {
      await serve('config', command, async (settings, flags, logger) => {
        const { startConfigServer } = await import('@coppice/configsvc/server')
        const { id, listen, wanted, affinity, advertise, join } = flags
        if ((flags.peers === undefined) === (join === undefined))
          throw new CliError(EXIT.usage, 'either --peers (a new cluster) or --join (a running one) is needed')
        const peers = flags.peers ?? (await findConfigServers(join!, settings.group, settings.data))
        const optional = {
          ...(wanted === undefined ? {} : { wanted }),
          ...(affinity === undefined ? {} : { params: { affinity: { ...DEFAULT_AFFINITY, mode: affinity } } }),
          ...(advertise === undefined ? {} : { advertise }),
          ...(join === undefined ? {} : { join: true }),
        }
        return startConfigServer({ dataDir: settings.data, id, listen, peers, logger, ...optional })
      })
    })

  common(server.command('replica'))
    .description('run a replica that hosts the key-value store')
    .addHelpText(
      'after',
      `
--config names the config servers as HOST:PORT,… or ID=HOST:PORT,…; one that answers is enough, and later the data directory knows them,
also those that took the place of others. The directory of --data belongs to this replica alone. With --zone (a data centre, a rack) clients
of that zone read here.

Example:
  coppice server replica --id r1 --listen 0.0.0.0:7111 --advertise 10.0.0.4:7111 --config 10.0.0.1:7101,10.0.0.2:7101,10.0.0.3:7101 --data /var/lib/coppice/r1`,
    )
    .action(async (_flags, command: Command) => {
      await serve('replica', command, async (settings, flags, logger) => {
        const { startVkvReplica } = await import('@coppice/vkv/server')
        const { id, listen, advertise } = flags
        const { zone } = settings
        const optional = { ...(advertise === undefined ? {} : { advertise }), ...(zone === undefined ? {} : { zone }) }
        if (settings.config === undefined)
          throw new CliError(EXIT.usage, '--config is needed: HOST:PORT,… of the config servers')
        const configServers = await findConfigServers(settings.config, settings.group, settings.data)
        return startVkvReplica({
          dataDir: settings.data,
          id,
          group: settings.group,
          listen,
          configServers,
          logger,
          ...optional,
        })
      })
    })
}

async function serve(
  role: 'config' | 'replica',
  command: Command,
  start: (settings: Settings, flags: ServerFlags, logger: Logger) => Promise<Running>,
): Promise<void> {
  const settings = settingsFor(command)
  const flags = command.opts<ServerFlags>()
  if (!settings.dataGiven) throw new CliError(EXIT.usage, '--data is needed: the directory of this server alone')
  if (!LOG_LEVELS.includes(flags.logLevel))
    throw new CliError(EXIT.usage, `--log-level: ${flags.logLevel} is none of ${LOG_LEVELS.join(', ')}`)
  const { createLogger, onShutdownSignals, tuneCollector } = await import('@coppice/runtime/server')
  tuneCollector()
  const group = role === 'replica' ? { group: settings.group } : {}
  const logger = createLogger({ id: flags.id, role, level: flags.logLevel, ...group })
  const running = await start(settings, flags, logger).catch((error: unknown) => {
    // What is wrong with the options, by the name of the option.
    if (error instanceof RangeError) throw new CliError(EXIT.usage, `--${error.message}`)
    throw error
  })
  onShutdownSignals(async (signal) => {
    // SIGTERM ends this server; Ctrl-C, and the end of a dev cluster, end all of them.
    if (signal === 'SIGTERM') await running.leave?.(LEAVE_MS)
    await running.stop()
  })
  if (settings.output === 'json') printJson({ id: flags.id, address: running.address, pid: process.pid })
  else print(`${flags.id} listens on ${running.address}`)
  attachToParent(() => {
    void running.stop().then(() => process.exit(EXIT.ok))
    // A parent that is gone waits for nobody; neither does the port.
    setTimeout(() => process.exit(EXIT.error), 5_000).unref()
  })
  const { exitCode, reason } = await running.stopped
  if (exitCode !== 0) throw new CliError(exitCode, reason)
}
