// The log's time, read off the public interface: a session's record names the log's time at which it ends, and its id is the index of the entry
// that opened it, so one that is never kept alive is a reading of that clock. The clock stands still while nobody leads; "never early, at most
// one tick late" is judged by it, for keys with a ttl as the changes of their prefix tell of them.
import type { Db } from '@coppice/vkv'

/** Of the primary: between two ticks, ms. */
const TICK_MS = 10
/** Long enough that nobody keeps it alive while a test runs. */
const TTL_MS = 24 * 3_600_000
/** What the store adds to a time asked for in whole milliseconds. */
const ROUNDING_MS = 1

export interface LogTime {
  readonly index: number
  readonly atMs: number
}
/** A key with a ttl. */
export interface Life {
  readonly key: string
  readonly ttlMs: number
  /** Index of the entry that wrote it, and of the one that ended it. */
  readonly put: number
  readonly end: number
}

export class LogClock {
  readonly #db: Db

  constructor(db: Db) {
    this.#db = db
  }

  /** Takes a reading now. */
  async read(): Promise<void> {
    await this.#db.session({ ttl: TTL_MS })
  }

  /** All that were taken, in the order of the log. */
  async readings(): Promise<LogTime[]> {
    const readings: LogTime[] = []
    for await (const { id, ttlMs, expiry } of this.#db.sessions()) {
      if (ttlMs === TTL_MS) readings.push({ index: id, atMs: expiry - TTL_MS - ROUNDING_MS })
    }
    return readings
  }
}

/**
 * What is wrong with the ends. Of an entry between two readings it is known that its time lies between theirs, so what is told is certainly
 * wrong: a key that ended before its ttl was over, or that an entry found a tick after its time.
 */
export function judgeEnds(readings: readonly LogTime[], lives: readonly Life[]): string[] {
  const problems: string[] = []
  for (const { key, ttlMs, put, end } of lives) {
    const putAfter = lastBefore(readings, put)
    const putBefore = readings.find(({ index }) => index > put)
    const endBefore = readings.find(({ index }) => index > end)
    if (putAfter !== undefined && endBefore !== undefined && endBefore.atMs < putAfter.atMs + ttlMs) {
      problems.push(`${key} of ${ttlMs} ms, put after ${putAfter.atMs}, ended before ${endBefore.atMs}`)
    }
    const found = lastBefore(readings, end)
    if (putBefore === undefined || found === undefined) continue
    const due = putBefore.atMs + ttlMs + ROUNDING_MS
    if (found.atMs >= due + TICK_MS) {
      problems.push(
        `${key}, due at ${due} at the latest, was there at ${found.atMs} (entry ${found.index}, end ${end})`,
      )
    }
  }
  return problems
}

function lastBefore(readings: readonly LogTime[], index: number): LogTime | undefined {
  return readings.findLast((reading) => reading.index < index)
}
