// Processes that share one lock and a number which only its holder may raise: fences refuse every holder whose time is over, so no raise is
// lost and the fences of successful writes never go down.
import { CoppiceError } from '@coppice/protocol'
import { Db } from '@coppice/vkv/core'
import type { HeldLock } from '@coppice/vkv/core'
import type { ClientHost } from '../hosts/client-host.js'
import { check } from '../kernel/violation.js'
import { outcomeOf } from './calls.js'
import type { Workload } from './workload.js'

const LOCK = 'number'
const KEY = 'guarded-number'

export class LockClients {
  readonly #workload: Workload
  #names = 0
  /** Highest fence whose write was acknowledged. */
  #fence = 0
  raised = 0
  #unknown = 0
  fenced = 0

  constructor(workload: Workload) {
    this.#workload = workload
  }

  start(): void {
    for (let i = 0; i < 2; i++) this.#spawn()
  }

  #connect(role: string): { host: ClientHost; db: Db } {
    const { host, clerk } = this.#workload.connect(`${role}${++this.#names}`)
    return { host, db: new Db(clerk, { text: this.#workload.cluster.text }) }
  }

  #spawn(): void {
    const { host, db } = this.#connect('holder')
    this.#workload.task(host, async () => {
      while (!this.#workload.stopping) {
        try {
          const lock = await db.lock(LOCK, { ttl: 800, wait: 3_000, timeout: 5_000 })
          await this.#raise(db, lock, host)
          // Now and then a holder forgets to release.
          if (host.random.chance(0.8)) await lock.release({ timeout: 3_000 })
        } catch (error) {
          outcomeOf(error)
        }
        await host.sleep(host.random.exponential(80))
      }
      await db.close()
    })
  }

  async #raise(db: Db, lock: HeldLock, host: ClientHost): Promise<void> {
    for (let i = 0; i < 3; i++) {
      const before = await db.kv.get(KEY, { timeout: 3_000 })
      // A holder that sleeps past its lock finds that its writes are refused.
      if (host.random.chance(0.1)) await host.sleep(1_200)
      const floor = this.#fence
      this.#unknown++
      try {
        await lock.kv.put(KEY, String(Number(before ?? '0') + 1), { timeout: 3_000 })
        check(lock.token >= floor, 'lock', () => `a write with fence ${lock.token} succeeded after one with ${floor}`)
        this.#fence = Math.max(this.#fence, lock.token)
        this.#unknown--
        this.raised++
      } catch (error) {
        const outcome = outcomeOf(error)
        if (outcome === 'not-applied') this.#unknown--
        if (error instanceof CoppiceError && error.code === 'FENCED') this.fenced++
        return
      }
    }
  }

  /** In the end the number is what was acknowledged, give or take what nobody can tell. */
  finish(boundMs: number): void {
    const { host, db } = this.#connect('counter')
    this.#workload.task(host, async () => {
      const value = Number((await db.kv.get(KEY, { timeout: boundMs })) ?? '0')
      check(value >= this.raised && value <= this.raised + this.#unknown, 'lock', () => {
        return `the guarded number is ${value}; ${this.raised} raises were acknowledged, ${this.#unknown} are unknown`
      })
      await db.close()
    })
  }
}
