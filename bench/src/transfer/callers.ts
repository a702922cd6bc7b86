// Clients that write, or read, at a steady rate and note how long nobody was answered: each is a clerk of its own, begins its calls at planned
// times, and waits for one before it begins the next.
import { connect } from '@coppice/vkv'
import type { Db } from '@coppice/vkv'

const encoder = new TextEncoder()

export interface Gaps {
  /** Longest time between two answers to whomever, ms. */
  readonly gapMs: number
  /** When that gap ended, ms from the beginning. */
  readonly gapEndedMs: number
  /** Longest any call took from its planned time, ms: no client has waited longer. */
  readonly slowestMs: number
  readonly calls: number
  readonly perSecond: number
}

export interface CallersOptions {
  readonly what: 'writes' | 'reads'
  readonly clients: number
  readonly perSecond: number
  /** Keys that the load generator has written. */
  readonly keys: number
  readonly valueBytes: number
}

export class Callers {
  readonly #dbs: readonly Db[]
  readonly #everyMs: number
  readonly #keys: number
  readonly #what: CallersOptions['what']
  readonly #value: Uint8Array
  #running = true
  #begunAt = performance.now()
  #answeredAt = performance.now()
  #gapMs = 0
  #gapEndedMs = 0
  #slowestMs = 0
  #calls = 0
  readonly failures: string[] = []

  private constructor(dbs: readonly Db[], { what, perSecond, keys, valueBytes }: CallersOptions) {
    this.#dbs = dbs
    this.#what = what
    this.#everyMs = (dbs.length * 1_000) / perSecond
    this.#keys = keys
    this.#value = new Uint8Array(valueBytes).fill(7)
    dbs.forEach((db, i) => void this.#call(db, i))
  }

  static async start(addresses: readonly string[], options: CallersOptions): Promise<Callers> {
    const { clients } = options
    const dbs = await Promise.all(Array.from({ length: clients }, () => connect(addresses, { timeout: '60s' })))
    return new Callers(dbs, options)
  }

  /** Of the time since it was asked last. */
  take(): Gaps {
    const now = performance.now()
    const perSecond = (this.#calls * 1_000) / (now - this.#begunAt)
    const gaps = {
      gapMs: this.#gapMs,
      gapEndedMs: this.#gapEndedMs,
      slowestMs: this.#slowestMs,
      calls: this.#calls,
      perSecond,
    }
    this.#gapMs = this.#gapEndedMs = this.#slowestMs = this.#calls = 0
    this.#begunAt = now
    return gaps
  }

  async stop(): Promise<void> {
    this.#running = false
    await Promise.all(this.#dbs.map((db) => db.close()))
  }

  async #call(db: Db, client: number): Promise<void> {
    const kv = db.kv.bytes
    let plannedAt = performance.now() + (this.#everyMs * client) / this.#dbs.length
    for (let n = 0; this.#running; n++) {
      const waitMs = plannedAt - performance.now()
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs))
      const key = encoder.encode(this.#nameOf(Math.floor(Math.random() * this.#keys)))
      try {
        if (this.#what === 'writes') await kv.put(key, this.#value)
        else await kv.get(key)
      } catch (error) {
        if (this.#running) this.failures.push((error as Error).message)
        return
      }
      const now = performance.now()
      if (now - this.#answeredAt > this.#gapMs) {
        this.#gapMs = now - this.#answeredAt
        this.#gapEndedMs = now - this.#begunAt
      }
      this.#slowestMs = Math.max(this.#slowestMs, now - plannedAt)
      this.#answeredAt = now
      this.#calls++
      plannedAt = Math.max(plannedAt + this.#everyMs, now)
    }
  }

  /** Of a key that the load generator has written. */
  #nameOf(key: number): string {
    return `bench/${this.#value.length}/${String(key).padStart(9, '0')}`
  }
}
