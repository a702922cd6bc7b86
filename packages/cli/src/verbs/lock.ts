// coppice lock: runs a command while holding a lock.
import type { Command } from 'commander'
import { settingsFor, withDb } from '../base/context.js'
import { CliError, EXIT } from '../base/exit.js'
import { durationOption } from '../base/options.js'
import { interruption, runUnder } from '../base/run-under.js'

const DEFAULT_TIMEOUT_MS = 10_000
const DEFAULT_TTL_MS = 10_000
/** Of a wait without an end. */
export const FOREVER_MS = 24 * 3_600_000

interface LockFlags {
  readonly ttl: number
  readonly wait?: number
}

export function addLock(program: Command): void {
  program
    .command('lock')
    .description('run a command while holding a lock; its exit code is the command’s')
    .argument('<name>', 'of the lock')
    .argument('<command...>', 'after --')
    .option(
      '--ttl <duration>',
      'others may take the lock so long after this process was last heard',
      durationOption,
      DEFAULT_TTL_MS,
    )
    .option('--wait <duration>', 'how long to wait for the lock (default: until it is free)', durationOption)
    .addHelpText(
      'after',
      `
Those who wait stand in a queue in the store and are woken when the lock is theirs; nobody polls. The command gets the lock's token in
COPPICE_LOCK_TOKEN: it grows from holder to holder. When the lock is lost the command is killed (SIGTERM, then SIGKILL), before anybody
else can hold the lock, and the exit code is 4; it is 4 as well when the lock is not free within --wait.

Examples:
  coppice lock nightly --wait 5s -- ./backup.sh --all
  coppice lock deploy --ttl 30s -- sh -c 'echo "deploying with token $COPPICE_LOCK_TOKEN"; ./deploy'
  coppice lock once --wait 0s -- ./only-one-of-us.sh || echo 'another runs it'`,
    )
    .action(async (name: string, argv: string[], _flags, command: Command) => {
      const settings = settingsFor(command)
      const { ttl, wait } = command.opts<LockFlags>()
      const interrupted = interruption()
      await withDb(settings, DEFAULT_TIMEOUT_MS, async (db) => {
        const lock = await db.lock(name, {
          ttl,
          signal: interrupted.signal,
          ...(wait === undefined ? { timeout: FOREVER_MS } : { wait }),
        })
        interrupted.off()
        const env = { COPPICE_LOCK_TOKEN: String(lock.token) }
        const { code, lost } = await runUnder(lock.signal, `the lock ${name}`, env, argv)
        process.exitCode = code
        await lock.release().catch(() => undefined)
        if (lost) throw new CliError(EXIT.conditionNotMet, `the lock ${name} was lost; the command was killed`)
      })
    })
}
