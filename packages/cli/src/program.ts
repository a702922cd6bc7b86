// The coppice command: its options, its verbs, and how a failure ends it.
import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { EXIT, exitCodeOf, failureJson, messageOf } from './base/exit.js'
import { note, paint } from './base/output.js'
import { addAffinity } from './verbs/affinity.js'
import { addBench } from './verbs/bench.js'
import { addChaos } from './verbs/chaos.js'
import { addCheckHistory } from './verbs/check-history.js'
import { addCompletion } from './verbs/completion.js'
import { addConfigsvc } from './verbs/configsvc.js'
import { addDev } from './verbs/dev.js'
import { addElect } from './verbs/elect.js'
import { addEpochs } from './verbs/epochs.js'
import { addHandover } from './verbs/handover.js'
import { addKv } from './verbs/kv.js'
import { addLock } from './verbs/lock.js'
import { addReconfigure } from './verbs/reconfigure.js'
import { addReplica } from './verbs/replica.js'
import { addRestart } from './verbs/restart.js'
import { addServer } from './verbs/server.js'
import { addSession } from './verbs/session.js'
import { addSim } from './verbs/sim.js'
import { addStatus } from './verbs/status.js'
import { addTxn } from './verbs/txn.js'
import { addVerify } from './verbs/verify.js'

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }

/** The command with all its verbs, before it has seen any arguments: for whoever prints its help elsewhere. */
export function buildProgram(): Command {
  const program = new Command('coppice')
    .description('A linearizable, exactly-once, self-healing key-value store and the tools around it')
    .version(version)
    .option('-o, --output <format>', 'table or json')
    .option('--timeout <duration>', 'of each call, retries included: 500ms, 10s, 2m')
    .option('--config <addresses>', 'config servers, HOST:PORT,… (default: those of the dev cluster in --data)')
    .option('--data <dir>', 'data directory of the dev cluster or of the server (default: ./coppice-data)')
    .option('--group <name>', 'replicated state machine (default: main)')
    .option(
      '--zone <name>',
      'where this process stands: a client reads at a replica there, a replica is registered there',
    )
    .option('--token <text>', 'presented to every server')
    .addHelpText(
      'after',
      `
Settings come from flags, then COPPICE_OUTPUT, COPPICE_TIMEOUT, COPPICE_CONFIG, COPPICE_DATA, COPPICE_GROUP, COPPICE_ZONE and
COPPICE_TOKEN, then ./coppice.json, then defaults. Data goes to stdout, everything else to stderr.

Exit codes: 0 ok, 1 error, 2 usage, 3 not found, 4 condition not met, 5 no quorum, 6 outcome unknown, 7 auth,
8 import or export left files out, 130 interrupted.

Examples:
  coppice dev                                        a cluster on this machine, until Ctrl-C
  coppice kv put greeting hello && coppice kv get greeting
  coppice status -o json
  coppice lock nightly -- ./backup.sh
  coppice elect scheduler -- ./scheduler`,
    )
    .showHelpAfterError('(see --help)')
    .configureOutput({ outputError: (text, write) => write(paint('red', text, process.stderr)) })
  const look = [addStatus, addEpochs, addVerify]
  const members = [addReconfigure, addHandover, addAffinity, addReplica, addConfigsvc, addRestart]
  const change = [...members, addKv, addTxn, addLock, addElect, addSession, addChaos]
  for (const add of [addDev, addServer, ...look, ...change, addBench, addSim, addCheckHistory, addCompletion])
    add(program)
  overrideExits(program)
  return program
}

// Commander would end the process by itself, with 1 for wrong usage.
function overrideExits(command: Command): void {
  command.exitOverride()
  for (const child of command.commands) overrideExits(child)
}

/** Runs the command; resolves with its exit code. */
export async function run(argv: readonly string[]): Promise<number> {
  const program = buildProgram()
  try {
    await program.parseAsync([...argv])
    return Number(process.exitCode ?? EXIT.ok)
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    const asJson = (program.opts<{ output?: string }>().output ?? process.env['COPPICE_OUTPUT']) === 'json'
    note(asJson ? failureJson(error) : `${paint('red', 'error:', process.stderr)} ${messageOf(error)}`)
    return exitCodeOf(error)
  }
}
