// Writers and deleters of numbered values, and watchers that must see each change once and in order.
import type { Db, WatchEvent } from '@coppice/vkv'
import { expect } from 'vitest'
import type { Cluster } from './cluster.js'
import { pause, until } from './wait.js'

/** Writes numbered values and deletes them now and then, one after the other, several keys at once, until told to stop. */
export class Writer {
  /** Every acknowledged change by its version, `key value` or `key gone`. */
  readonly written = new Map<number, string>()
  readonly #db: Db
  readonly #prefix: string
  readonly #paceMs: number
  #stopped = false
  readonly #done: Promise<unknown>

  /** `paceMs`: between two writes of a key. */
  constructor(db: Db, prefix: string, keys: number, paceMs = 0) {
    this.#db = db
    this.#prefix = prefix
    this.#paceMs = paceMs
    this.#done = Promise.all(Array.from({ length: keys }, (_, i) => this.#loop(`${prefix}${i}`)))
  }

  async #loop(key: string): Promise<void> {
    for (let n = 0; !this.#stopped; n++) {
      const isDelete = n % 5 === 4
      const { version } = isDelete ? await this.#db.kv.delete(key) : await this.#db.kv.put(key, `${n}`)
      this.written.set(version, `${key} ${isDelete ? 'gone' : n}`)
      if (this.#paceMs > 0) await pause(this.#paceMs)
    }
  }

  async more(count = 200): Promise<void> {
    const { size } = this.written
    await until(`writes below ${this.#prefix}`, () => Promise.resolve(this.written.size >= size + count || undefined))
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#done
  }
}

/** Watches until it is closed, and notes what it saw. */
export class Watcher {
  readonly seen: (readonly [change: string, version: number])[] = []
  readonly #watch: AsyncIterableIterator<WatchEvent<string, string>>
  readonly #ended: Promise<void>
  readonly begun: Promise<void>

  constructor(from: Db, prefix: string) {
    this.#watch = from.kv.watch(prefix)
    let begun: () => void
    this.begun = new Promise((resolve) => (begun = resolve))
    this.#ended = this.#run(() => begun())
  }

  async #run(onSync: () => void): Promise<void> {
    for await (const event of this.#watch) {
      if (event.type === 'put') this.seen.push([`${event.key} ${event.value}`, event.version])
      else if (event.type === 'sync') onSync()
      else this.seen.push([`${event.key} ${event.type === 'delete' ? 'gone' : event.type}`, event.version])
    }
  }

  /** Waits until it has seen as much as was written, and ends it. */
  async finish(written: ReadonlyMap<number, string>): Promise<void> {
    await until('all changes', () => Promise.resolve(this.seen.length >= written.size || undefined))
    await this.#watch.return?.()
    await this.#ended
    const inOrder = [...written].sort((a, b) => a[0] - b[0])
    expect(this.seen).toEqual(inOrder.map(([version, change]) => [change, version]))
  }
}

/** Each through a client of its own, which chooses its replica at random. Resolves when all have begun. */
export async function watchersOf(cluster: Cluster, prefix: string, count: number): Promise<Watcher[]> {
  const watchers: Watcher[] = []
  for (let i = 0; i < count; i++) watchers.push(new Watcher(await cluster.connect(), prefix))
  await Promise.all(watchers.map(({ begun }) => begun))
  return watchers
}
