// What a change of the config servers makes of the register, and what is wrong with one (PROTOCOL P6). Pure judgement over the chosen value.
import type { ConfigServerChange, ConfigServerEntry, ConfigState, NodeId } from '@coppice/protocol'
import { MAX_CONFIG_SERVERS, MAX_FORMER_CONFIG_SERVERS } from './bounds.js'

/** The register with one config server more or less. */
export function changed(s: ConfigState, add: ConfigServerEntry | null, remove: NodeId | null): ConfigState {
  const configServers = s.configServers.filter((c) => c.id !== remove)
  if (add !== null) configServers.push(add)
  const formerConfigServers = remove === null ? s.formerConfigServers : [...s.formerConfigServers, remove]
  return { ...s, configServers, formerConfigServers: formerConfigServers.slice(-MAX_FORMER_CONFIG_SERVERS) }
}

/** Whether the register is as the change asks for. */
export function isDone(s: ConfigState, { add, remove }: ConfigServerChange): boolean {
  const has = (id: NodeId): boolean => s.configServers.some((c) => c.id === id)
  return (add === null || has(add.id)) && (remove === null || !has(remove))
}

/** What is wrong with a change, in plain words; undefined when it may begin or is there already. `replicas`: ids of the replica servers. */
export function changeProblem(
  s: ConfigState,
  { add, remove }: ConfigServerChange,
  replicas: readonly NodeId[],
): string | undefined {
  const has = (id: NodeId): boolean => s.configServers.some((c) => c.id === id)
  const present = s.configServers.map((c) => c.id).join(', ')
  if (add === null && remove === null) return 'nothing is asked for: name a config server to add or to remove'
  if (remove !== null && !has(remove) && !s.formerConfigServers.includes(remove))
    return `${remove} is no config server; they are ${present}`
  if (add !== null) {
    // Ballots name their server: another store under a former id could use one of them again.
    if (add.id === remove || s.formerConfigServers.includes(add.id))
      return `the id ${add.id} was used before; a config server comes back under a new id`
    if (replicas.includes(add.id)) return `${add.id} is the name of a replica`
    const held = s.configServers.find((c) => c.id === add.id)
    if (held !== undefined && held.address !== add.address)
      return `${add.id} is a config server already, at ${held.address}`
    const there = s.configServers.find((c) => c.address === add.address && c.id !== add.id && c.id !== remove)
    if (there !== undefined) return `${add.address} is the address of ${there.id}`
    if (held === undefined && s.configServers.length >= MAX_CONFIG_SERVERS)
      return `there are ${MAX_CONFIG_SERVERS} config servers already (${present})`
  }
  if (remove !== null && add === null && has(remove) && s.configServers.length === 1)
    return `${remove} is the only config server; use replace`
  return undefined
}

export function wordsOf({ add, remove }: ConfigServerChange): string {
  const parts = [add === null ? '' : `add ${add.id} at ${add.address}`, remove === null ? '' : `remove ${remove}`]
  return parts.filter((p) => p !== '').join(', ')
}
