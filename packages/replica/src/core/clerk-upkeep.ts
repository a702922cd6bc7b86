// Clerks that are connected stay, idle ones go (PROTOCOL 6): every third of the TTL the primary logs one Touch for the clerks whose
// connections it holds, and one Expire for those idle longer than the TTL by the log's time.
import type { ClerkId, ConnectionId, Millis } from '@coppice/protocol'
import type { Primary } from './primary.js'
import type { Shared } from './shared.js'

/** Clerks named by one entry. */
const MAX_CLERKS_IN_ENTRY = 8_192

export class ClerkUpkeep {
  readonly #s: Shared
  readonly #primary: Primary
  readonly #connected = new Set<ConnectionId>()
  /** When this primary looked last, or began; Infinity: it does not lead. */
  #lookedAt: Millis = Infinity

  constructor(shared: Shared, primary: Primary) {
    this.#s = shared
    this.#primary = primary
  }

  heard(connection: ConnectionId): void {
    this.#connected.add(connection)
  }

  /** Connections of which anything was heard. */
  get connections(): ReadonlySet<ConnectionId> {
    return this.#connected
  }

  clientGone(connection: ConnectionId): void {
    this.#connected.delete(connection)
  }

  get wakeAt(): Millis {
    const s = this.#s
    if (!s.leading) this.#lookedAt = Infinity
    else if (this.#lookedAt === Infinity) this.#lookedAt = s.now
    // Nothing more enters the log of this epoch; the next primary looks by itself.
    if (s.draining) return Infinity
    return this.#lookedAt + s.params.clerkTtlMs / 3
  }

  tick(): void {
    const s = this.#s
    if (!s.leading || !s.running || s.now < this.wakeAt) return
    this.#lookedAt = s.now
    const elapsed = this.#primary.elapsed()
    const touch: ClerkId[] = []
    const expire: ClerkId[] = []
    for (const session of s.table.sessions()) {
      if (this.#connected.has(session.connection)) touch.push(session.clerkId)
      else if (session.lastSeenMs + s.params.clerkTtlMs < elapsed) expire.push(session.clerkId)
    }
    this.#log('touch', touch)
    this.#log('expire', expire)
    if (expire.length > 0) s.event('clerkExpired', { clerks: expire.length })
  }

  #log(kind: 'touch' | 'expire', clerkIds: readonly ClerkId[]): void {
    for (let i = 0; i < clerkIds.length; i += MAX_CLERKS_IN_ENTRY) {
      this.#primary.clerks(kind, clerkIds.slice(i, i + MAX_CLERKS_IN_ENTRY))
    }
  }
}
