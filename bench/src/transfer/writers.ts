// Clients that write at a steady rate and note how long nobody's write was answered: each is a clerk of its own, begins its writes at planned
// times, and waits for one before it begins the next.
import { connect } from '@coppice/vkv'
import type { Db } from '@coppice/vkv'

const encoder = new TextEncoder()

export interface Gaps {
  /** Longest time between two answers to whomever, ms. */
  readonly gapMs: number
  /** Longest any write took from its planned time, ms. */
  readonly slowestMs: number
  readonly writes: number
  readonly perSecond: number
}

export class Writers {
  readonly #dbs: readonly Db[]
  readonly #everyMs: number
  readonly #keys: number
  readonly #value: Uint8Array
  #running = true
  #begunAt = performance.now()
  #answeredAt = performance.now()
  #gapMs = 0
  #slowestMs = 0
  #writes = 0
  readonly failures: string[] = []

  private constructor(dbs: readonly Db[], perSecond: number, keys: number, value: Uint8Array) {
    this.#dbs = dbs
    this.#everyMs = (dbs.length * 1_000) / perSecond
    this.#keys = keys
    this.#value = value
    dbs.forEach((db, i) => void this.#write(db, i))
  }

  static async start(
    addresses: readonly string[],
    { clients, perSecond, keys, valueBytes }: { clients: number; perSecond: number; keys: number; valueBytes: number },
  ): Promise<Writers> {
    const dbs = await Promise.all(Array.from({ length: clients }, () => connect(addresses, { timeout: '60s' })))
    return new Writers(dbs, perSecond, keys, new Uint8Array(valueBytes).fill(7))
  }

  /** Of the time since it was asked last. */
  take(): Gaps {
    const now = performance.now()
    const perSecond = (this.#writes * 1_000) / (now - this.#begunAt)
    const gaps = { gapMs: this.#gapMs, slowestMs: this.#slowestMs, writes: this.#writes, perSecond }
    this.#gapMs = this.#slowestMs = this.#writes = 0
    this.#begunAt = now
    return gaps
  }

  async stop(): Promise<void> {
    this.#running = false
    await Promise.all(this.#dbs.map((db) => db.close()))
  }

  async #write(db: Db, client: number): Promise<void> {
    const kv = db.kv.bytes
    let plannedAt = performance.now() + (this.#everyMs * client) / this.#dbs.length
    for (let n = 0; this.#running; n++) {
      const waitMs = plannedAt - performance.now()
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs))
      const key = encoder.encode(this.#nameOf(Math.floor(Math.random() * this.#keys)))
      try {
        await kv.put(key, this.#value)
      } catch (error) {
        if (this.#running) this.failures.push((error as Error).message)
        return
      }
      const now = performance.now()
      this.#gapMs = Math.max(this.#gapMs, now - this.#answeredAt)
      this.#slowestMs = Math.max(this.#slowestMs, now - plannedAt)
      this.#answeredAt = now
      this.#writes++
      plannedAt = Math.max(plannedAt + this.#everyMs, now)
    }
  }

  /** Of a key that the load generator has written. */
  #nameOf(key: number): string {
    return `bench/${this.#value.length}/${String(key).padStart(9, '0')}`
  }
}
