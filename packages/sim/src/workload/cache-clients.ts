// Processes that read and write through the client cache (PROTOCOL 9), with clocks whose error is bounded; what they see goes into the
// history, where it must be linearizable like anything else.
import { boundedClock, Db } from '@coppice/vkv/core'
import type { Cache } from '@coppice/vkv/core'
import type { ClientHost } from '../hosts/client-host.js'
import { outcomeOf } from './calls.js'
import type { Workload } from './workload.js'

const CLOCK_ERROR_MS = 40

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
    for (let i = 0; i < 3; i++) this.#spawn()
  }

  #spawn(): void {
    const { host, clerk } = this.#workload.connect(`cache${++this.#names}`)
    const { kernel, text } = this.#workload.cluster
    const offset = host.random.between(-CLOCK_ERROR_MS, CLOCK_ERROR_MS)
    const timeRange = boundedClock(() => 1_700_000_000_000 + kernel.now + offset, CLOCK_ERROR_MS)
    const db = new Db(clerk, { text, timeRange })
    const cache = db.cached({ lease: 150, max: 4 })
    this.#workload.task(host, async () => {
      while (!this.#workload.stopping) {
        await this.#one(cache, host)
        await host.sleep(host.random.exponential(25))
      }
      await db.close()
    })
  }

  async #one(cache: Cache, host: ClientHost): Promise<void> {
    const { history, cluster } = this.#workload
    const { random } = host
    const key = `q${random.int(2)}`
    if (random.chance(0.85)) {
      const call = history.begin(host.id, 'read', `cached/${key}`, undefined)
      const began = cluster.kernel.now
      try {
        const options = { timeout: 4_000 }
        const value = await (random.chance(0.7) ? cache.getAndCache(key, options) : cache.get(key, options))
        if (cluster.kernel.now === began) this.hits++
        history.end(call, 'ok', value ?? null)
      } catch (error) {
        outcomeOf(error)
      }
      return
    }
    const value = `v${++this.#values}`
    const call = history.begin(host.id, 'write', `cached/${key}`, value)
    try {
      await cache.put(key, value, { timeout: 4_000 })
      history.end(call, 'ok', undefined)
    } catch (error) {
      // The put is several operations; only the last one writes, and the error speaks for the one that failed.
      if (outcomeOf(error) === 'not-applied') history.failed(call, 'not-applied')
    }
  }
}
