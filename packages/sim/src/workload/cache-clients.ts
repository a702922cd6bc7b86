// Processes that read through the client cache (PROTOCOL 9) while they and others write the same keys; what they see goes into the history,
// where it must be linearizable like anything else.
import { type Cache, Db } from '@coppice/vkv/core'
import type { ClientHost } from '../hosts/client-host.js'
import { outcomeOf } from './calls.js'
import type { Workload } from './workload.js'

const CLIENTS = 3
const KEYS = 2

export class CacheClients {
  readonly #workload: Workload
  #names = 0
  #values = 0
  /** Reads answered without a message. */
  hits = 0

  constructor(workload: Workload) {
    this.#workload = workload
  }

  start(): void {
    for (let i = 0; i < CLIENTS; i++) this.#spawn()
  }

  #spawn(): void {
    const { host, clerk } = this.#workload.connect(`cache${++this.#names}`)
    const { text } = this.#workload.cluster
    const db = new Db(clerk, { text })
    // One entry fewer than there are keys for one of them: it gives leases back for want of room.
    const cache = db.cached({ lease: 200, max: this.#names === 1 ? KEYS - 1 : KEYS })
    this.#workload.task(host, async () => {
      while (!this.#workload.stopping) {
        await this.#one(db, cache, host)
        // Now and then it dies without a word, or sleeps beyond its lease.
        if (host.random.chance(0.01)) return this.#replace(host)
        if (host.random.chance(0.02)) host.pause(host.random.between(50, 800))
        await host.sleep(host.random.exponential(15))
      }
      await db.close()
    })
  }

  #replace(host: ClientHost): void {
    this.#workload.kill(host)
    this.#spawn()
  }

  async #one(db: Db, cache: Cache, host: ClientHost): Promise<void> {
    const { history } = this.#workload
    const { random } = host
    const key = `q${random.int(KEYS)}`
    if (random.chance(0.85)) {
      const call = history.begin(host.id, 'read', key, undefined)
      const { hits } = cache
      try {
        history.end(call, 'ok', (await cache.get(key, { timeout: 4_000 })) ?? null)
      } catch (error) {
        outcomeOf(error)
      }
      this.hits += cache.hits - hits
      return
    }
    const value = `v${++this.#values}`
    const call = history.begin(host.id, 'write', key, value)
    const writer = random.chance(0.5) ? cache : db.kv
    try {
      await writer.put(key, value, { timeout: 4_000 })
      history.end(call, 'ok', undefined)
    } catch (error) {
      if (outcomeOf(error) === 'not-applied') history.failed(call, 'not-applied')
    }
  }
}
