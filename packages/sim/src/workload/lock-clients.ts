// Processes that share one lock and a number which only its holder may raise: fences refuse every holder whose time is over, so no raise is
// lost and the fences of successful writes never go down. Nobody believes in the lock while another does, and what the lock tells those who
// watch it is judged by a journal.
import { CompactedError, CoppiceError, Writer } from '@coppice/protocol'
import { Db, type HeldLock } from '@coppice/vkv/core'
import { STREAM_LOCKS, writeLockTopic } from '@coppice/vkv/internal'
import type { ClientHost } from '../hosts/client-host.js'
import { check } from '../kernel/violation.js'
import { outcomeOf } from './calls.js'
import { LockJournal } from './lock-journal.js'
import type { Workload } from './workload.js'

const LOCK = 'number'
const KEY = 'guarded-number'
const CLIENTS = 3

export class LockClients {
  readonly #workload: Workload
  readonly #journal = new LockJournal(LOCK)
  #names = 0
  /** Highest fence whose write was acknowledged. */
  #fence = 0
  /** Those who have acquired the lock and did not release it; whether they believe in it they say themselves. */
  readonly #holders = new Set<HeldLock>()
  #token = 0
  raised = 0
  #unknown = 0
  fenced = 0

  constructor(workload: Workload) {
    this.#workload = workload
  }

  /** Times that the lock went to a waiter. */
  get grants(): number {
    return this.#journal.grants
  }
  /** Places that lapsed or were given up. */
  get lefts(): number {
    return this.#journal.lefts
  }

  start(): void {
    this.#watch()
    for (let i = 0; i < CLIENTS; i++) this.#spawn()
  }

  #connect(role: string): { host: ClientHost; db: Db } {
    const { host, clerk } = this.#workload.connect(`${role}${++this.#names}`)
    return { host, db: new Db(clerk, { text: this.#workload.cluster.text }) }
  }

  /** A watcher of the lock for the whole run; resumes by itself through every fault, and goes on behind a gap. */
  #watch(): void {
    const { host, db } = this.#connect('journal')
    this.#workload.task(host, async () => {
      for (let from = 1; from > 0;) from = await this.#watchFrom(from, db, host)
      await db.close()
    })
  }

  /** Answers where to go on, behind a gap; 0: the run is over. */
  #watchFrom(from: number, db: Db, host: ClientHost): Promise<number> {
    const { bytes: text } = this.#workload.cluster
    const topic = new Writer()
    writeLockTopic(topic, this.#workload.cluster.text.encode(LOCK), new Uint8Array(0))
    return new Promise((resolve, reject) => {
      const watch = db.clerk.watch(
        { stream: STREAM_LOCKS, topic: topic.take(), exact: false, from },
        {
          changes: (batch) => {
            try {
              let bytes = 0
              for (const { index, kind, topic: of, payload, size } of batch) {
                bytes += size
                this.#journal.add(index, kind, text.latin1(of, 2 + LOCK.length, of.length), payload)
              }
              watch.consumed(bytes)
            } catch (error) {
              reject(error as Error)
            }
          },
          end: (error) => {
            if (!(error instanceof CompactedError)) return reject(error)
            this.#journal.gap()
            resolve(error.floor)
          },
        },
      )
      const look = (): void => {
        if (!this.#workload.stopping) return void host.clock.after(100, look)
        watch.close()
        resolve(0)
      }
      look()
    })
  }

  #spawn(): void {
    const { host, db } = this.#connect('holder')
    this.#workload.task(host, async () => {
      while (!this.#workload.stopping) {
        // Its process dies, waiting or holding, and another one comes.
        if (host.random.chance(0.05))
          this.#workload.cluster.kernel.after(host.random.between(1, 400), () => this.#die(host))
        try {
          // Most wait for as long as it takes: a waiter that is never woken is seen when everything has healed.
          const patience = host.random.chance(0.7) ? { timeout: 60_000 } : { wait: 3_000, timeout: 5_000 }
          const lock = await db.lock(LOCK, { ttl: 800, ...patience })
          this.#acquired(lock)
          await this.#raise(db, lock, host)
          // Now and then a holder dies before it releases.
          if (host.random.chance(0.1)) return this.#die(host)
          this.#holders.delete(lock)
          await lock.release({ timeout: 3_000 })
        } catch (error) {
          outcomeOf(error)
        }
        await host.sleep(host.random.exponential(80))
      }
      await db.close()
    })
  }

  #die(host: ClientHost): void {
    if (!host.alive) return
    this.#workload.kill(host)
    if (!this.#workload.stopping) this.#spawn()
  }

  #acquired(lock: HeldLock): void {
    for (const other of this.#holders) {
      check(!other.valid, 'lock', () => {
        return `a holder with token ${other.token} believes in the lock while another got it with ${lock.token}`
      })
    }
    check(lock.token > this.#token, 'lock', () => `token ${lock.token} was given out after ${this.#token}`)
    this.#token = lock.token
    this.#holders.clear()
    this.#holders.add(lock)
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
