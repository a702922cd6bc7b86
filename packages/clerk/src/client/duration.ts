// Durations as users write them: a number of milliseconds, or text such as '250ms', '10s', '1.5m', '1h'.

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }

/** Milliseconds, or text with a unit: '500ms', '10s', '2m'. */
export type Duration = number | string

/** Milliseconds, or undefined when it is no positive duration, whatever its type says. */
export function durationMs(duration: Duration): number | undefined {
  if (typeof duration === 'number') return duration > 0 ? duration : undefined
  if (typeof duration !== 'string') return undefined
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h)$/.exec(duration.trim())
  if (match === null) return undefined
  const ms = Number(match[1]) * UNIT_MS[match[2]!]!
  return ms > 0 ? ms : undefined
}
