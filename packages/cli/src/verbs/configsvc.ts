// coppice configsvc: adds, removes and replaces config servers of a running cluster, one at a time (PROTOCOL P6).
import { randomBytes } from 'node:crypto'
import { DEFAULT_GROUP } from '@coppice/protocol'
import type { ConfigServerChange, ConfigState } from '@coppice/protocol'
import type { Command } from 'commander'
import { settingsFor, withAdmin } from '../base/context.js'
import { CliError, EXIT } from '../base/exit.js'
import { idOption, namedAddress } from '../base/options.js'
import { print, printJson, table } from '../base/output.js'
import { advising } from '../change/unknown-outcome.js'

const DEFAULT_TIMEOUT_MS = 30_000
const ADVICE =
  'The change may be under way still: "coppice status" shows the config servers, and the same command goes on with it'

export function addConfigsvc(program: Command): void {
  const configsvc = program
    .command('configsvc')
    .description('change the config servers of a running cluster')
    .addHelpText(
      'after',
      `
A new config server is started first, with --join and an empty data directory, under an id that no config server had before. It is added
once it holds all that is chosen; then the one it replaces leaves, which says in "coppice status" that it can be stopped. The cluster
serves meanwhile. A command that ended without an answer may be given again: it goes on where the first one stopped.

Example:
  coppice server configsvc --id c4 --listen 10.0.0.9:7101 --join 10.0.0.1:7101,10.0.0.2:7101 --data /var/lib/coppice/c4
  coppice configsvc replace c1 --with c4=10.0.0.9:7101 --config 10.0.0.1:7101,10.0.0.2:7101`,
    )
  configsvc
    .command('replace')
    .description('have a new config server take the place of another')
    .argument('<old-id>', 'the one that leaves; it may be dead', idOption)
    .requiredOption('--with <id=host:port>', 'the new one, started with --join', namedAddress)
    .action(async (remove: string, flags: { with: { id: string; address: string } }, command: Command) =>
      change(command, { add: flags.with, remove }),
    )
  configsvc
    .command('add')
    .description('add a config server; an even number tolerates no more failures than one less')
    .argument('<id=host:port>', 'started with --join', namedAddress)
    .action(async (add: { id: string; address: string }, _flags, command: Command) =>
      change(command, { add, remove: null }),
    )
  configsvc
    .command('remove')
    .description('remove a config server')
    .argument('<id>', 'the one that leaves; it may be dead', idOption)
    .action(async (remove: string, _flags, command: Command) => change(command, { add: null, remove }))
}

async function change(command: Command, asked: ConfigServerChange): Promise<void> {
  if (asked.add?.id === asked.remove)
    throw new CliError(EXIT.usage, `--with: ${asked.remove} itself is to leave; the new config server needs a new id`)
  const settings = { ...settingsFor(command), group: DEFAULT_GROUP }
  await withAdmin(settings, DEFAULT_TIMEOUT_MS, async (admin) => {
    const before = (await admin.getGroup()).state
    if (asked.remove !== null && !isKnown(before, asked.remove)) {
      const present = before.configServers.map(({ id }) => id).join(', ')
      throw new CliError(EXIT.notFound, `there is no config server ${asked.remove}; they are ${present}`)
    }
    const result = await admin.changeConfigServers(asked, randomBytes(16).toString('hex')).catch(advising(ADVICE))
    if (!result.ok) throw new CliError(EXIT.conditionNotMet, result.message)
    const { configServers } = (await admin.getGroup()).state
    const servers = configServers.map(({ id, address }) => ({ id, address }))
    if (settings.output === 'json') return printJson({ configServers: servers, message: result.message })
    print(
      table(
        ['id', 'address'],
        servers.map(({ id, address }) => [id, address]),
      ),
    )
  })
}

function isKnown(s: ConfigState, id: string): boolean {
  return s.configServers.some((c) => c.id === id) || s.formerConfigServers.includes(id)
}
