// Parsers of option values; a mistake names the option.
import { isName, MAX_ZONE_CHARS } from '@coppice/protocol'
import { InvalidArgumentError } from 'commander'
import { parseDuration } from './settings.js'

/** A whole number of at least `least`. */
export function countOption(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= least && Number.isSafeInteger(value)) return value
    throw new InvalidArgumentError(`It must be a whole number of at least ${least}.`)
  }
}

/** Milliseconds of a duration. */
export function durationOption(text: string): number {
  const ms = parseDuration(text)
  if (ms !== undefined) return ms
  throw new InvalidArgumentError('It must be a duration such as 500ms, 10s or 2m.')
}

/** Name of a server. Others refuse the link of one whose id is no name, so it would wait for ever. */
export function idOption(text: string): string {
  if (isName(text)) return text
  throw new InvalidArgumentError(`"${text}" is not 1–64 of a–z 0–9 . _ -`)
}

/** id=host:port,… with the ids. */
export function namedAddresses(text: string): { id: string; address: string }[] {
  return text.split(',').map(namedAddress)
}

/** id=host:port. */
export function namedAddress(text: string): { id: string; address: string } {
  const at = text.indexOf('=')
  const address = text.slice(at + 1).trim()
  if (at < 1 || !isAddress(address)) throw new InvalidArgumentError(`"${text}" is not ID=HOST:PORT.`)
  return { id: idOption(text.slice(0, at).trim()), address }
}

export const AFFINITY_MODES = ['off', 'auto'] as const
export type AffinityMode = (typeof AFFINITY_MODES)[number]

/** Whether the primary follows its writers. */
export function affinityOption(text: string): AffinityMode {
  const mode = AFFINITY_MODES.find((each) => each === text)
  if (mode !== undefined) return mode
  throw new InvalidArgumentError(`It must be ${AFFINITY_MODES.join(' or ')}.`)
}

/** Names of zones. */
export function zonesOption(text: string): string[] {
  return text.split(',').map((part) => {
    const zone = part.trim()
    if (zone !== '' && zone.length <= MAX_ZONE_CHARS) return zone
    throw new InvalidArgumentError(`"${part}" is not a name of 1 to ${MAX_ZONE_CHARS} characters.`)
  })
}

/** host:port,… with or without ids. */
export function someAddresses(text: string): string[] {
  return text.split(',').map((entry) => {
    const address = entry.slice(entry.indexOf('=') + 1).trim()
    if (!isAddress(address)) throw new InvalidArgumentError(`"${entry}" is neither HOST:PORT nor ID=HOST:PORT.`)
    return entry.trim()
  })
}

export function addressOption(text: string): string {
  if (isAddress(text)) return text
  throw new InvalidArgumentError(`"${text}" is not HOST:PORT.`)
}

function isAddress(text: string): boolean {
  const port = Number(/^[^\s]+:(\d{1,5})$/.exec(text)?.[1] ?? NaN)
  return port >= 0 && port < 65_536
}
