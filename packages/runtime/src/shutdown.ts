// SIGTERM and SIGINT: an orderly stop with a deadline; a second signal, if it is meant, ends the process at once.
import { monotonicMs, setTimeout } from './timers.js'

/** What asks a server to end. */
export type ShutdownSignal = 'SIGTERM' | 'SIGINT'

/** Of an orderly end. */
export interface ShutdownOptions {
  /** After so long the process ends even if `stop` has not finished; default 10 s. */
  readonly deadlineMs?: number
  /**
   * A second signal ends the process at once, but not within so long of the first: one Ctrl-C reaches a process twice when npm
   * runs it, from the terminal and from npm. Default 1 s.
   */
  readonly echoMs?: number
  /** Ends the process; replaced in tests. */
  readonly exit?: (code: number) => void
}

const DEADLINE_MS = 10_000
const ECHO_MS = 1_000
const EXIT_FAILED = 1
const EXIT_INTERRUPTED = 130

/** Runs `stop` at the first signal and exits 0 when it is done, 1 when it fails or is late. The answer takes the handlers off. */
export function onShutdownSignals(
  stop: (signal: ShutdownSignal) => Promise<void>,
  options: ShutdownOptions = {},
): () => void {
  const { deadlineMs = DEADLINE_MS, echoMs = ECHO_MS, exit = (code) => process.exit(code) } = options
  let stoppingSince: number | undefined
  const onSignal = (signal: ShutdownSignal): void => {
    if (stoppingSince !== undefined) {
      if (monotonicMs() - stoppingSince >= echoMs) exit(EXIT_INTERRUPTED)
      return
    }
    stoppingSince = monotonicMs()
    setTimeout(() => exit(EXIT_FAILED), deadlineMs).unref()
    stop(signal).then(
      () => exit(0),
      (error: unknown) => {
        process.stderr.write(`stopping failed: ${error instanceof Error ? error.message : String(error)}\n`)
        exit(EXIT_FAILED)
      },
    )
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  return () => {
    process.off('SIGTERM', onSignal)
    process.off('SIGINT', onSignal)
  }
}
