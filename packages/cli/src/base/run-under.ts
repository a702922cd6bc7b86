// Runs a command for as long as something is held: it is ended when that is lost.
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { constants } from 'node:os'
import { note } from './output.js'

const KILL_AFTER_MS = 1_000
/** As a shell reports a command that cannot be found or run. */
const EXIT_NOT_FOUND = 127
const EXIT_SIGNAL = 128

export interface Ended {
  /** As a shell would report it. */
  readonly code: number
  /** What was held was lost while it ran, and it was ended for that. */
  readonly lost: boolean
  /** It was told to end by a signal to this process. */
  readonly interrupted: boolean
}

/** Runs the command with `env` added to its environment, until it ends by itself or `signal` is aborted; `held` names what was held. */
export function runUnder(
  signal: AbortSignal,
  held: string,
  env: Readonly<Record<string, string>>,
  argv: readonly string[],
): Promise<Ended> {
  const [file, ...args] = argv
  // A group of its own, so that all it started can be killed; on a terminal it must stay in the foreground group to read from it.
  const isOwnGroup = process.stdin.isTTY !== true
  const child = spawn(file!, args, { stdio: 'inherit', detached: isOwnGroup, env: { ...process.env, ...env } })
  let lost = false
  let interrupted = false
  const forward = (name: NodeJS.Signals): void => {
    interrupted = true
    kill(child, isOwnGroup, name)
  }
  const onLost = (): void => {
    lost = true
    note(`${held} was lost; killing the command`)
    kill(child, isOwnGroup, 'SIGTERM')
    setTimeout(() => kill(child, isOwnGroup, 'SIGKILL'), KILL_AFTER_MS).unref()
  }
  if (signal.aborted) onLost()
  else signal.addEventListener('abort', onLost, { once: true })
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, forward)
  return new Promise((resolve) => {
    const end = (code: number): void => {
      signal.removeEventListener('abort', onLost)
      for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(name, forward)
      resolve({ code, lost, interrupted })
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

/** A signal that is aborted when this process is told to end; `off` when it shall react as usual again. */
export function interruption(): { readonly signal: AbortSignal; off(): void } {
  const interrupted = new AbortController()
  const interrupt = (): void => interrupted.abort()
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', interrupt)
  return {
    signal: interrupted.signal,
    off: () => {
      process.off('SIGINT', interrupt)
      process.off('SIGTERM', interrupt)
    },
  }
}
