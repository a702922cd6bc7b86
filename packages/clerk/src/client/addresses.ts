// Addresses as users write them: `coppice://host:port,host:port[/group]`, or the list itself. Each mistake is named.
import { DEFAULT_GROUP, isName } from '@coppice/protocol'
import type { GroupName } from '@coppice/protocol'
import { refusedCall } from './failures.js'

const SCHEME = 'coppice://'
const HIGHEST_PORT = 65_535

/** What `coppice://host:port,host:port/group` says. */
export interface ClusterAddress {
  readonly configServers: readonly string[]
  readonly group: GroupName
}

/** Throws INVALID_ARGUMENT naming the part that is wrong. */
export function parseClusterUrl(url: string): ClusterAddress {
  if (!url.startsWith(SCHEME)) throw wrong(`a cluster's address begins with ${SCHEME}, not as ${quoted(url)} does`)
  const rest = url.slice(SCHEME.length)
  const slash = rest.indexOf('/')
  const list = slash < 0 ? rest : rest.slice(0, slash)
  const group = slash < 0 || slash === rest.length - 1 ? DEFAULT_GROUP : rest.slice(slash + 1)
  if (!isName(group)) throw wrong(`${quoted(group)} is not the name of a group (1–64 of a–z 0–9 . _ -)`)
  return { configServers: parseAddresses(list.split(',')), group }
}

/** Checks a list of host:port and returns it without duplicates. */
export function parseAddresses(list: readonly string[]): readonly string[] {
  if (!Array.isArray(list) || !list.every((each) => typeof each === 'string'))
    throw wrong("a cluster's address is wanted: 'coppice://host:port,host:port', or a list of host:port")
  const addresses = list.map((each) => each.trim()).filter((each) => each !== '')
  if (addresses.length === 0) throw wrong('no address of a config server is given')
  for (const address of addresses) {
    const colon = address.lastIndexOf(':')
    const host = address.slice(0, Math.max(colon, 0))
    const port = address.slice(colon + 1)
    const valid = host !== '' && /^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= HIGHEST_PORT
    if (!valid || /[\s/@?#]/.test(host)) throw wrong(`${quoted(address)} is not host:port`)
  }
  return [...new Set(addresses)]
}

function quoted(text: string): string {
  return JSON.stringify(text)
}

function wrong(message: string): Error {
  return refusedCall('INVALID_ARGUMENT', message)
}
