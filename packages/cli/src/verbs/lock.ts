// coppice lock: runs a command while holding a lock.
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { constants } from 'node:os'
import type { Command } from 'commander'
import { settingsFor, withDb } from '../base/context.js'
import { CliError, EXIT } from '../base/exit.js'
import { durationOption } from '../base/options.js'
import { note } from '../base/output.js'

const DEFAULT_TIMEOUT_MS = 10_000
const DEFAULT_TTL_MS = 10_000
const KILL_AFTER_MS = 1_000
/** As a shell reports a command that cannot be found or run. */
const EXIT_NOT_FOUND = 127
const EXIT_SIGNAL = 128

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
The command gets the lock's token in COPPICE_LOCK_TOKEN. When the lock is lost the command is killed (SIGTERM, then SIGKILL) and the
exit code is 4; it is 4 as well when the lock is not free within --wait.

Example:
  coppice lock nightly --wait 5s -- ./backup.sh --all`,
    )
    .action(async (name: string, argv: string[], _flags, command: Command) => {
      const settings = settingsFor(command)
      const { ttl, wait } = command.opts<LockFlags>()
      const interrupted = new AbortController()
      const interrupt = (): void => interrupted.abort()
      process.on('SIGINT', interrupt)
      process.on('SIGTERM', interrupt)
      await withDb(settings, DEFAULT_TIMEOUT_MS, async (db) => {
        const lock = await db.lock(name, {
          ttl,
          signal: interrupted.signal,
          ...(wait === undefined ? { timeout: 24 * 3_600_000 } : { wait }),
        })
        process.off('SIGINT', interrupt)
        process.off('SIGTERM', interrupt)
        try {
          process.exitCode = await runUnder(lock.signal, lock.token, argv)
        } finally {
          await lock.release().catch(() => undefined)
        }
        if (lost(lock.signal))
          throw new CliError(EXIT.conditionNotMet, `the lock ${name} was lost; the command was killed`)
      })
    })
}

// Released by us also aborts the signal; lost is what aborted while the command ran.
const lostSignals = new WeakSet<AbortSignal>()
function lost(signal: AbortSignal): boolean {
  return lostSignals.has(signal)
}

function runUnder(signal: AbortSignal, token: number, argv: readonly string[]): Promise<number> {
  const [file, ...args] = argv
  // A group of its own, so that all it started can be killed; on a terminal it must stay in the foreground group to read from it.
  const isOwnGroup = process.stdin.isTTY !== true
  const child = spawn(file!, args, {
    stdio: 'inherit',
    detached: isOwnGroup,
    env: { ...process.env, COPPICE_LOCK_TOKEN: String(token) },
  })
  const forward = (name: NodeJS.Signals): void => kill(child, isOwnGroup, name)
  const onLost = (): void => {
    lostSignals.add(signal)
    note('the lock was lost; killing the command')
    kill(child, isOwnGroup, 'SIGTERM')
    setTimeout(() => kill(child, isOwnGroup, 'SIGKILL'), KILL_AFTER_MS).unref()
  }
  signal.addEventListener('abort', onLost, { once: true })
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, forward)
  return new Promise((resolve) => {
    const end = (code: number): void => {
      signal.removeEventListener('abort', onLost)
      for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(name, forward)
      resolve(code)
    }
    child.once('error', (error) => {
      note(`${file} cannot be run: ${error.message}`)
      end(EXIT_NOT_FOUND)
    })
    child.once('exit', (code, by) => end(code ?? EXIT_SIGNAL + (by === null ? 0 : constants.signals[by])))
  })
}

function kill(child: ChildProcess, isOwnGroup: boolean, name: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null) return
  try {
    process.kill(isOwnGroup ? -child.pid : child.pid, name)
  } catch {
    // It ended meanwhile.
  }
}
