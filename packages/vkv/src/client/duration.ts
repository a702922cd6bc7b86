// Durations as people write them: 250, '250ms', '10s', '5m', '1h'.
import { CoppiceError } from '@coppice/protocol'

/** Milliseconds, or a number with a unit. */
export type Duration = number | string

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }

/** Milliseconds of a duration. `what` names the option in the error. */
export function durationMs(duration: Duration, what: string): number {
  if (typeof duration === 'number' && duration >= 0) return duration
  const match = typeof duration === 'string' ? /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(duration) : null
  if (match !== null) return Number(match[1]) * UNIT_MS[match[2]!]!
  throw new CoppiceError(`${what}: ${JSON.stringify(duration)} is no duration (use milliseconds, or '10s', '5m')`, {
    code: 'INVALID_ARGUMENT',
    outcome: 'not-applied',
  })
}
