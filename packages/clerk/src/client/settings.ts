// What a clerk does where its user gave no word.
import { CLERK_WINDOW, DEFAULT_GROUP } from '@coppice/protocol'
import type { GroupName } from '@coppice/protocol'
import type { ClerkOptions } from './api.js'

const DEFAULT_TIMEOUT_MS = 10_000
const DEFAULT_IN_FLIGHT = 1_024
const DEFAULT_IN_FLIGHT_BYTES = 16 * 1024 * 1024
const DEFAULT_SILENCE_MS = 1_000

export interface Settings {
  readonly group: GroupName
  readonly timeoutMs: number
  readonly maxInFlight: number
  readonly maxInFlightBytes: number
  readonly silenceMs: number
  /** '': nowhere in particular. */
  readonly zone: string
}

export function settingsOf(options: ClerkOptions): Settings {
  return {
    group: options.group ?? DEFAULT_GROUP,
    timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    // More than the window could never be under way.
    maxInFlight: Math.min(options.maxInFlight ?? DEFAULT_IN_FLIGHT, CLERK_WINDOW),
    maxInFlightBytes: options.maxInFlightBytes ?? DEFAULT_IN_FLIGHT_BYTES,
    silenceMs: options.silenceMs ?? DEFAULT_SILENCE_MS,
    zone: options.zone ?? '',
  }
}
