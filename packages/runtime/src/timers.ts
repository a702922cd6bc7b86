// The timers and clocks of this process, taken when this module is loaded. An app's tests may put fake ones in the place of Node's own later;
// links, elections and leases go on by the real ones.
import { performance } from 'node:perf_hooks'
import * as timers from 'node:timers'

/** A timer that was set. */
export interface Timer {
  /** It does not keep the process alive. */
  unref(): this
}

type SetTimer = (run: () => void, delayMs: number) => Timer
type ClearTimer = (timer: Timer | undefined) => void

/** Node's own, as it was when this module was loaded. */
export const setTimeout: SetTimer = timers.setTimeout
/** Node's own, as it was when this module was loaded. */
export const clearTimeout = timers.clearTimeout as ClearTimer
/** Node's own, as it was when this module was loaded. */
export const setInterval: SetTimer = timers.setInterval
/** Node's own, as it was when this module was loaded. */
export const clearInterval = timers.clearInterval as ClearTimer
/** Node's own, as it was when this module was loaded. */
export const setImmediate: (run: () => void) => unknown = timers.setImmediate

/** Milliseconds of this process's monotonic clock. */
export const monotonicMs: () => number = performance.now.bind(performance)

/** Milliseconds since 1970 by the wall clock. */
export const wallMs: () => number = Date.now

/** Resolves in the next turn of the event loop, after its I/O. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}
