// Clients that read through caches and write what they and others have cached, in processes of their own; a history of all.
import type { HistoryEvent } from '@coppice/sim'
import { ClientProcess } from './client-process.js'

/** An event with the machine's time, µs. */
type Timed = HistoryEvent & { readonly t: number }

/** Clients that read through caches and write what they and others have cached, in processes of their own; a history of all. */
export class CacheLoad {
  readonly clients: ClientProcess[] = []
  hits = 0
  misses = 0
  readonly #told: Timed[] = []
  readonly #addresses: readonly string[]

  constructor(addresses: readonly string[]) {
    this.#addresses = addresses
  }

  /** `lease` in ms, or `naive`: one that keeps values for a while and is told nothing. */
  add(name: string, lease: number | 'naive'): ClientProcess {
    const client = new ClientProcess('./cache-client.mjs', [this.#addresses.join(','), name, String(lease)], (line) =>
      this.#hear(line),
    )
    this.clients.push(client)
    return client
  }

  #hear(line: string): void {
    const told = JSON.parse(line) as Timed | { readonly hits: number; readonly misses: number }
    if ('t' in told) this.#told.push(told)
    else {
      this.hits += told.hits
      this.misses += told.misses
    }
  }

  get events(): number {
    return this.#told.length
  }

  /** In the order of the machine's time; of two at once the invocation comes first, so that they count as concurrent. */
  get history(): string {
    const rank = ({ type }: HistoryEvent): number => (type === 'invoke' ? 0 : 1)
    const inOrder = this.#told.toSorted((a, b) => a.t - b.t || rank(a) - rank(b))
    return inOrder.map((event) => `${JSON.stringify({ ...event, t: undefined })}\n`).join('')
  }
}
