// Monotonic time, timers and randomness of this process, behind the ports of packages/protocol.
import { randomBytes, randomInt } from 'node:crypto'
import type { Clock, Random } from '@coppice/protocol'
import { clearInterval, clearTimeout, monotonicMs, setInterval, setTimeout } from './timers.js'
import { atEndOfTurn } from './turn.js'

// Node keeps larger delays as 1 ms.
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** Monotonic milliseconds of this process, and timers that do not keep it alive. */
export const systemClock: Clock = {
  now: monotonicMs,
  after(delayMs, run) {
    const timer = setTimeout(run, Math.min(Math.max(Math.ceil(delayMs), 0), LONGEST_TIMER_MS))
    timer.unref()
    return () => clearTimeout(timer)
  },
  endOfTurn: atEndOfTurn,
}

/** Math.random, as it was when this module was loaded: for jitter, never for identities. */
export const systemRandom: Random = Math.random

/** A random identity (store, cluster, process incarnation): 128 bits in hexadecimal. */
export function randomId(): string {
  return randomBytes(16).toString('hex')
}

/** A random seed for a core's own jitter. */
export function randomSeed(): number {
  return randomInt(2 ** 32)
}

/**
 * Keeps the process alive until the answer is called. Timers of `systemClock` do not, so whoever owes a user an answer while no socket is
 * open (a call that waits to reconnect) holds this meanwhile.
 */
export function holdProcess(): () => void {
  const timer = setInterval(() => undefined, LONGEST_TIMER_MS)
  return () => clearInterval(timer)
}
