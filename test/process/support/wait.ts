// Waiting with a deadline. What can be awaited as an event is; the rest (what other processes think) is asked for again and again.

/** Asks until the answer is neither undefined nor false; fails at the deadline with what was asked for and the last error. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined | false> | T | undefined | false,
  deadlineMs = 60_000,
): Promise<T> {
  const deadline = performance.now() + deadlineMs
  let lastError: unknown
  for (;;) {
    try {
      const answer = await ask()
      if (answer !== undefined && answer !== false) return answer
      lastError = undefined
    } catch (error) {
      lastError = error
    }
    if (performance.now() > deadline) throw new Error(`no ${what} within ${deadlineMs} ms`, { cause: lastError })
    await pause(50)
  }
}

/** Fails when the promise has not settled by the deadline. */
export function within<T>(what: string, promise: Promise<T>, deadlineMs = 60_000): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${what} within ${deadlineMs} ms`)), deadlineMs)
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

/** Only for lengths that are part of a scenario (3 s of SIGSTOP, 2 s of load), never to wait for something. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** The middle of some measurements, rounded. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((x, y) => x - y)
  return Math.round(sorted[Math.floor(sorted.length / 2)] ?? NaN)
}

/** Longest time between two signs of life since the last `take`. */
export class LongestGap {
  private last = performance.now()
  private longest = 0

  note(): void {
    const now = performance.now()
    this.longest = Math.max(this.longest, now - this.last)
    this.last = now
  }

  /** The longest gap since the last call, the one that is still open included. */
  take(): number {
    const open = performance.now() - this.last
    const gap = Math.max(this.longest, open)
    this.longest = 0
    return Math.round(gap)
  }
}
