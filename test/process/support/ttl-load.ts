// Keys with a ttl, put and watched while a cluster is troubled, and judged by the log's time and by the clock of who put them.
import type { Db } from '@coppice/vkv'
import { type Life, judgeEnds, LogClock } from './log-time.js'
import { pause, until } from './wait.js'

/** Puts keys with a ttl, each with readings of the log's clock beside it, and watches their ends. */
export class TtlLoad {
  readonly problems: string[] = []
  readonly lives: Life[] = []
  readonly #db: Db
  readonly #clock: LogClock
  readonly #puts = new Map<string, { ttlMs: number; put: number; askedAt: number }>()
  readonly #ends = new Map<string, number>()
  #watch: ReturnType<Db['kv']['watch']> | undefined
  #watched: Promise<void> = Promise.resolve()
  #work: Promise<unknown> = Promise.resolve()
  #done = false
  #keys = 0

  constructor(db: Db) {
    this.#db = db
    this.#clock = new LogClock(db)
  }

  async start(workers: number): Promise<void> {
    const watch = this.#db.kv.watch('ttl/')
    this.#watch = watch
    await new Promise<void>((begun) => (this.#watched = this.#observe(watch, begun)))
    this.#work = Promise.all([...Array.from({ length: workers }, () => this.#put()), this.#read()])
  }

  async #observe(watch: ReturnType<Db['kv']['watch']>, begun: () => void): Promise<void> {
    for await (const event of watch) {
      if (event.type === 'sync') begun()
      else if (event.type === 'delete') this.problems.push(`${event.key} was deleted`)
      else if (event.type === 'expire') {
        const put = this.#puts.get(event.key)
        const passed = performance.now() - (put?.askedAt ?? Infinity)
        // Everybody is on one machine: no clock differs.
        if (put !== undefined && passed < put.ttlMs)
          this.problems.push(`${event.key} ended after ${passed} of ${put.ttlMs} ms`)
        if (this.#ends.has(event.key)) this.problems.push(`${event.key} ended twice`)
        this.#ends.set(event.key, event.version)
      }
    }
  }

  async #put(): Promise<void> {
    while (!this.#done) {
      const key = `ttl/${++this.#keys}`
      const ttlMs = 50 + ((this.#keys * 91) % 1_500)
      const put = { ttlMs, put: 0, askedAt: performance.now() }
      this.#puts.set(key, put)
      // One frame: the readings are of the same time, if nothing comes between.
      const [, { version }] = await Promise.all([
        this.#clock.read(),
        this.#db.kv.put(key, 'v', { ttl: ttlMs }),
        this.#clock.read(),
      ])
      put.put = version
      await pause(60)
    }
  }

  async #read(): Promise<void> {
    while (!this.#done) {
      await this.#clock.read()
      await pause(8)
    }
  }

  /** Waits for the last end, and judges all. */
  async finish(): Promise<void> {
    this.#done = true
    await this.#work
    await until('end of all keys', () => this.#ends.size >= this.#puts.size)
    await this.#watch?.return?.()
    await this.#watched
    for (const [key, { ttlMs, put }] of this.#puts) this.lives.push({ key, ttlMs, put, end: this.#ends.get(key)! })
    this.problems.push(...judgeEnds(await this.#clock.readings(), this.lives))
  }
}
