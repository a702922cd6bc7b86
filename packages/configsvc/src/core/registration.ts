// Registration of replica servers in a group's register (PROTOCOL P7). A server is (id, storeId): an id that comes back with another store
// is another server, and never takes the place of the lost one while that is a member.
import type { ConfigState, Report, ServerEntry } from '@coppice/protocol'
import { MAX_SERVERS } from './bounds.js'

export type Registration =
  | { readonly kind: 'known' }
  /** The register needs this entry. */
  | { readonly kind: 'register'; readonly entry: ServerEntry }
  | { readonly kind: 'refused'; readonly reason: string }

/** `busy`: an attempt runs whose targets are resolved already, so no id may change its store now. */
export function registrationOf(s: ConfigState, report: Report, busy: boolean): Registration {
  const { server } = report
  const held = s.servers.find((e) => e.id === server.id)
  if (held === undefined) {
    if (s.configServers.some((e) => e.id === server.id)) return refused(`${server.id} is the name of a config server`)
    if (s.servers.length >= MAX_SERVERS) return refused(`group ${s.group} has ${MAX_SERVERS} servers already`)
    return { kind: 'register', entry: server }
  }
  if (held.storeId === server.storeId) {
    return held.address === server.address && held.zone === server.zone
      ? { kind: 'known' }
      : { kind: 'register', entry: server }
  }
  // P7: an empty store never stands in for a lost one.
  if (s.members.includes(server.id))
    return refused(`${server.id} is a member with another store; it must be replaced first`)
  if (busy) return refused('a reconfiguration is running; try again')
  return { kind: 'register', entry: server }
}

/** The register with the entry; undefined when it is there already or may not be any more. */
export function register(s: ConfigState, entry: ServerEntry): ConfigState | undefined {
  const held = s.servers.find((e) => e.id === entry.id)
  if (held === undefined) return s.servers.length >= MAX_SERVERS ? undefined : { ...s, servers: [...s.servers, entry] }
  if (held.storeId !== entry.storeId && s.members.includes(entry.id)) return undefined
  if (held.storeId === entry.storeId && held.address === entry.address && held.zone === entry.zone) return undefined
  return { ...s, servers: s.servers.map((e) => (e.id === entry.id ? entry : e)) }
}

function refused(reason: string): Registration {
  return { kind: 'refused', reason }
}
