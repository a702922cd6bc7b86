// Where the writes come from: operations that this primary admitted, by the zone of the clerk that sent them. Clerks say theirs once per
// connection, so counting is one addition per frame; only zones of members are told, for the primary can go nowhere else.
import type { ConnectionId, Millis, ZoneWrites } from '@coppice/protocol'
import type { Shared } from './shared.js'

/** The config leader is told so often in the window over which it judges. */
const TOLD_PER_WINDOW = 15

interface Tally {
  zone: string
  operations: number
}

export class WritesByZone {
  readonly #s: Shared
  readonly #tallyByConnection = new Map<ConnectionId, Tally>()
  /** Of connections that are gone, or that said another zone before. */
  readonly #past = new Map<string, number>()
  #toldAt: Millis = -Infinity

  constructor(shared: Shared) {
    this.#s = shared
  }

  /** The clerk of this connection says where it stands. */
  said(connection: ConnectionId, zone: string): void {
    const tally = this.#tallyByConnection.get(connection)
    if (tally?.zone === zone) return
    if (tally !== undefined) this.#keep(tally)
    this.#tallyByConnection.set(connection, { zone, operations: 0 })
  }

  /** Of a clerk that says no zone nothing is counted. */
  admitted(connection: ConnectionId, operations: number): void {
    const tally = this.#tallyByConnection.get(connection)
    if (tally !== undefined) tally.operations += operations
  }

  clientGone(connection: ConnectionId): void {
    const tally = this.#tallyByConnection.get(connection)
    if (tally === undefined) return
    this.#tallyByConnection.delete(connection)
    this.#keep(tally)
  }

  /** This server leads a new epoch: counts begin with it. */
  begin(): void {
    this.#past.clear()
    for (const tally of this.#tallyByConnection.values()) tally.operations = 0
    this.#toldAt = -Infinity
  }

  /** What the next report tells; undefined: nothing now. */
  due(): ZoneWrites[] | undefined {
    const s = this.#s
    const { mode, windowMs } = s.params.affinity
    if (mode === 'off' || !s.leading || s.now - this.#toldAt < windowMs / TOLD_PER_WINDOW) return undefined
    this.#toldAt = s.now
    const operationsByZone = new Map<string, number>()
    for (const zone of this.#zones()) operationsByZone.set(zone, this.#past.get(zone) ?? 0)
    for (const { zone, operations } of this.#tallyByConnection.values()) {
      const before = operationsByZone.get(zone)
      if (before !== undefined) operationsByZone.set(zone, before + operations)
    }
    return [...operationsByZone].map(([zone, operations]) => ({ zone, operations }))
  }

  // Bounded by the zones that members have, whatever clerks say.
  #keep({ zone, operations }: Tally): void {
    if (operations > 0 && this.#zones().has(zone)) this.#past.set(zone, (this.#past.get(zone) ?? 0) + operations)
  }

  #zones(): ReadonlySet<string> {
    const { members = [], servers = [] } = this.#s.configuration ?? {}
    const zones = new Set<string>()
    for (const { id, zone } of servers) if (zone !== undefined && zone !== '' && members.includes(id)) zones.add(zone)
    return zones
  }
}
