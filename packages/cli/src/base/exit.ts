// Exit codes (PRODUCT, the command) and the one place where a failure becomes one.
import { CoppiceError } from '@coppice/protocol'

/** Exit codes of the command. */
export const EXIT = {
  ok: 0,
  error: 1,
  usage: 2,
  notFound: 3,
  /** A comparison failed, a lock is another's or was lost, a history is not linearizable. */
  conditionNotMet: 4,
  noQuorum: 5,
  outcomeUnknown: 6,
  auth: 7,
  /** Import or export: some files were left out, each listed by name. */
  incomplete: 8,
  interrupted: 130,
} as const

/** A failure whose message is meant for the user as it is. */
export class CliError extends Error {
  override readonly name = 'CliError'
  readonly exitCode: number
  constructor(exitCode: number, message: string) {
    super(message)
    this.exitCode = exitCode
  }
}

/** The exit code of a failure. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CliError) return error.exitCode
  if (!(error instanceof CoppiceError)) return EXIT.error
  switch (error.code) {
    case 'ABORTED':
      return EXIT.interrupted
    case 'NOT_FOUND':
      return EXIT.notFound
    case 'FENCED':
    case 'LOCK_BUSY':
    case 'LOCK_LOST':
    case 'SESSION_ENDED':
    case 'IDEMPOTENCY_CONFLICT':
    case 'CONFLICT':
      return EXIT.conditionNotMet
    case 'INVALID_ARGUMENT':
    case 'TOO_LARGE':
      return EXIT.usage
    case 'TIMEOUT':
    case 'UNAVAILABLE':
    case 'SESSION_EXPIRED':
      return error.outcome === 'unknown' ? EXIT.outcomeUnknown : EXIT.noQuorum
    default:
      return error.outcome === 'unknown' ? EXIT.outcomeUnknown : EXIT.error
  }
}

/** What to tell the user about a failure: plain words for what is expected to fail, the stack for a defect. */
export function messageOf(error: unknown): string {
  if (error instanceof CoppiceError) {
    const outcome = error.outcome === 'unknown' ? ' (it may or may not have taken effect)' : ''
    return `${error.message}${outcome}`
  }
  if (!(error instanceof Error)) return String(error)
  const expected =
    error instanceof CliError || error.name === 'StartupError' || error instanceof RangeError || 'errno' in error
  return expected ? error.message : (error.stack ?? error.message)
}

/** The failure as `-o json` prints it, one line on stderr. */
export function failureJson(error: unknown): string {
  const message = messageOf(error)
  const exitCode = exitCodeOf(error)
  if (!(error instanceof CoppiceError)) return JSON.stringify({ error: { message, exitCode } })
  const { code, outcome, retryable, attempts, epoch, requestId } = error
  return JSON.stringify({ error: { message, exitCode, code, outcome, retryable, attempts, epoch, requestId } })
}
