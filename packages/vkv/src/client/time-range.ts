// TimeRange of a wall clock with a known bound on its error (PROTOCOL 3): the true time is in [earliest, latest].
import type { TimeRangePort } from '@coppice/protocol'

/** `earliest` never goes back, also when the wall clock is set back: then `latest` stays above it too. */
export function boundedClock(wallMs: () => number, errorMs: number): TimeRangePort {
  let earliest = 0
  return () => {
    const now = wallMs()
    earliest = Math.max(earliest, now - errorMs)
    return { earliest, latest: Math.max(now + errorMs, earliest) }
  }
}
