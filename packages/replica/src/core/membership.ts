// What this replica knows of the configuration, and what follows from it (PROTOCOL 2.6, 2.7): activation of the own epoch, or
// retirement when a newer one runs.
import { assert } from '@coppice/protocol'
import type { ConfigServerEntry, Configuration, NodeId } from '@coppice/protocol'
import type { Backup } from './backup.js'
import type { Lease } from './lease.js'
import type { PendingReplies } from './pending-replies.js'
import type { Primary } from './primary.js'
import { movedMessage } from './replies.js'
import type { Sealing } from './seal.js'
import type { Shared } from './shared.js'

export class Membership {
  readonly #s: Shared
  readonly #primary: Primary
  readonly #backup: Backup
  readonly #lease: Lease
  readonly #sealing: Sealing
  readonly #pending: PendingReplies
  readonly #addresses = new Map<NodeId, string>()

  constructor(s: Shared, primary: Primary, backup: Backup, lease: Lease, sealing: Sealing, pending: PendingReplies) {
    this.#s = s
    this.#primary = primary
    this.#backup = backup
    this.#lease = lease
    this.#sealing = sealing
    this.#pending = pending
  }

  /** A configuration that was chosen, from a grant, an answer or an activation. Old news change nothing. */
  adopt(configuration: Configuration): void {
    const s = this.#s
    // Another cluster's or group's configuration is never obeyed.
    if (configuration.group !== s.meta.group) return
    if (s.meta.clusterId !== '' && configuration.clusterId !== s.meta.clusterId) return
    if (configuration.version < (s.configuration?.version ?? 0)) return
    s.configuration = configuration
    for (const server of [...configuration.servers, ...configuration.configServers]) this.address(server)
    this.#keep(configuration)
    if (configuration.epoch > s.meta.epoch) this.retire()
    if (configuration.epoch === s.meta.epoch) this.#maybeActivate(configuration)
  }

  /** Tells the driver where a server is, when that is new. */
  address(server: { readonly id: NodeId; readonly address: string }): void {
    if (this.#addresses.get(server.id) === server.address) return
    this.#addresses.set(server.id, server.address)
    this.#s.effects.push({ kind: 'address', id: server.id, address: server.address })
  }

  /** Tells the driver where a server is, and to connect to it before there is anything to say. */
  dial({ id, address }: { readonly id: NodeId; readonly address: string }): void {
    if (id === this.#s.options.id) return
    this.#addresses.set(id, address)
    this.#s.effects.push({ kind: 'address', id, address, dial: true })
  }

  /** P6: the config servers may be others when this process starts again. */
  #keep({ clusterId, configServers }: Configuration): void {
    const s = this.#s
    if (s.meta.clusterId === '' || !isSame(s.meta.configServers ?? [], configServers))
      s.writeMeta({ clusterId, configServers })
  }

  /** An epoch above the own one runs: this server's part is over, whoever it was. */
  retire(): void {
    const s = this.#s
    if (!s.activated) return
    this.#sealing.freeze()
    s.activated = false
    s.members = []
    this.#lease.drop('a newer epoch runs')
    // These clerks wait for entries whose fate is decided elsewhere: nothing is refused, but they must ask there.
    for (const connection of this.#pending.connections()) s.reply(connection, movedMessage(s, 'requests', 0, 0, 0))
    this.#pending.clear()
  }

  #maybeActivate(configuration: Configuration): void {
    const s = this.#s
    const { epoch, checkpointId } = s.meta
    if (s.activated || epoch === 0 || s.disk.durableMeta.epoch !== epoch) return
    // Another checkpoint under the same number never was this replica's epoch.
    if (configuration.checkpointId !== checkpointId || !configuration.members.includes(s.options.id)) return
    const own = configuration.servers.find((x) => x.id === s.options.id)
    if (own !== undefined && own.storeId !== s.meta.storeId) return
    assert(configuration.start === s.meta.start, 'an epoch has one start')
    s.activated = true
    s.members = configuration.members
    s.commitIndex = Math.max(s.commitIndex, configuration.start) // C2: activation of e implies commit ≥ start(e)
    // Entered by this incarnation: it holds exactly what its ENTER acked. Recovered: the primary must accept it first.
    s.acceptedByPrimary = s.recovered.meta.epoch !== epoch
    s.event('activated', { epoch, members: configuration.members, start: configuration.start })
    this.#backup.activated()
    if (s.primary === s.options.id && !s.sealed) this.#primary.begin()
  }
}

function isSame(a: readonly ConfigServerEntry[], b: readonly ConfigServerEntry[]): boolean {
  const same = (x: ConfigServerEntry, y: ConfigServerEntry): boolean =>
    x.id === y.id && x.storeId === y.storeId && x.address === y.address
  return a.length === b.length && a.every((x, i) => same(x, b[i]!))
}
