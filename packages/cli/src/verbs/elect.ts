// coppice elect: runs a command while leading; coppice leader: who leads.
import { hostname } from 'node:os'
import type { Db } from '@coppice/vkv'
import type { Command } from 'commander'
import { settingsFor, withDb } from '../base/context.js'
import { CliError, EXIT } from '../base/exit.js'
import { durationOption } from '../base/options.js'
import { note, printJson, print } from '../base/output.js'
import { interruption, runUnder, type Ended } from '../base/run-under.js'
import { FOREVER_MS } from './lock.js'

const DEFAULT_TIMEOUT_MS = 10_000
const DEFAULT_TTL_MS = 10_000
/** Before it campaigns again after a failure. */
const AGAIN_MS = 1_000

interface ElectFlags {
  readonly ttl: number
  readonly value?: string
  readonly once?: boolean
}

export function addElect(program: Command): void {
  program
    .command('elect')
    .description('run a command while leading, and campaign again when the leadership is lost')
    .argument('<name>', 'of the election')
    .argument('<command...>', 'after --')
    .option(
      '--ttl <duration>',
      'others may lead so long after this process was last heard',
      durationOption,
      DEFAULT_TTL_MS,
    )
    .option('--value <text>', 'what this candidate says of itself when it leads (default: HOST/PID)')
    .option('--once', 'end with exit code 4 when the leadership is lost, instead of campaigning again')
    .addHelpText(
      'after',
      `
Candidates stand in a queue and are woken when it is their turn; nobody polls. The command gets the leader's token in COPPICE_LEADER_TOKEN: it grows
from leader to leader. When the leadership is lost the command is killed (SIGTERM, then SIGKILL), before anybody else can
lead, and the campaign begins again. When the command ends by itself the leadership is given up and its exit code is the command's.

Examples:
  coppice elect scheduler -- ./scheduler
  coppice elect scheduler --ttl 5s --value "$HOSTNAME" -- ./scheduler
  coppice leader scheduler -w`,
    )
    .action(async (name: string, argv: string[], _flags, command: Command) => {
      const flags = command.opts<ElectFlags>()
      await withDb(settingsFor(command), DEFAULT_TIMEOUT_MS, (db) => campaign(db, name, argv, flags))
    })
  program
    .command('leader')
    .description('who leads: its token and what it says of itself; exit code 3 when nobody does')
    .argument('<name>', 'of the election')
    .option('-w, --watch', 'go on and print every change, until Ctrl-C')
    .addHelpText('after', '\nExamples:\n  coppice leader scheduler\n  coppice leader scheduler -w -o json')
    .action(async (name: string, _flags, command: Command) => {
      const settings = settingsFor(command)
      const { watch } = command.opts<{ readonly watch?: boolean }>()
      const say = (leader: { readonly token: number; readonly value: string } | undefined): void => {
        if (settings.output === 'json') printJson(leader ?? null)
        else print(leader === undefined ? 'nobody' : `${leader.token}\t${leader.value}`)
      }
      await withDb(settings, DEFAULT_TIMEOUT_MS, async (db) => {
        if (watch === true) for await (const leader of db.observe(name)) say(leader)
        const leader = await db.leader(name)
        if (leader === undefined) throw new CliError(EXIT.notFound, `nobody leads ${name}`)
        say(leader)
      })
    })
}

async function campaign(db: Db, name: string, argv: readonly string[], flags: ElectFlags): Promise<void> {
  for (;;) {
    const ended = await lead(db, name, argv, flags)
    if (!ended.lost || ended.interrupted) {
      process.exitCode = ended.code
      return
    }
    if (flags.once === true) {
      throw new CliError(EXIT.conditionNotMet, `the leadership of ${name} was lost; the command was killed`)
    }
    note(`campaigning for ${name} again`)
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
  }
}

/** One leadership, from the campaign to its end. */
async function lead(db: Db, name: string, argv: readonly string[], flags: ElectFlags): Promise<Ended> {
  const interrupted = interruption()
  const leadership = await db.elect(name, {
    ttl: flags.ttl,
    value: flags.value ?? `${hostname()}/${process.pid}`,
    timeout: FOREVER_MS,
    signal: interrupted.signal,
  })
  interrupted.off()
  note(`leading ${name} with token ${leadership.token}`)
  const env = { COPPICE_LEADER_TOKEN: String(leadership.token) }
  const ended = await runUnder(leadership.signal, `the leadership of ${name}`, env, argv)
  await leadership.resign().catch(() => undefined)
  return ended
}
