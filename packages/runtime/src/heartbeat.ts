// The common pulse of all links of a process. Links count beats, not milliseconds, so a process that was stopped for a while
// does not take its own absence for the death of all its peers.
import { clearInterval, setInterval, type Timer } from './timers.js'

/** How often links look at themselves. */
const BEAT_MS = 500
/** Beats without a sign of life after which a peer is given up: 3 s. */
export const DEAD_BEATS = 6
/** A ping is sent every so many beats. */
export const PING_BEATS = 2

export interface Beating {
  onBeat(): void
}

const members = new Set<Beating>()
let timer: Timer | undefined

export function joinHeartbeat(member: Beating): void {
  members.add(member)
  timer ??= setInterval(() => {
    for (const each of members) each.onBeat()
  }, BEAT_MS).unref()
}

export function leaveHeartbeat(member: Beating): void {
  members.delete(member)
  if (members.size > 0) return
  clearInterval(timer)
  timer = undefined
}
