// Sessions while a cluster is troubled: what their owners believe is compared with what others see of their keys.
import type { Db } from '@coppice/vkv'
import { ClientProcess, monotonicUs } from './client-process.js'
import { pause, until } from './wait.js'

/** What became of a session, by its owner's words. */
export interface Belief {
  readonly id: number
  readonly validUs: number
  readonly signalUs: number
  readonly how: string
}
/** What others saw of its keys. */
export interface Gone {
  /** When the first of them was seen gone, µs. */
  readonly atUs: number
  /** Indexes at which they ended. */
  readonly versions: ReadonlySet<number>
}

/** Owners must have stopped believing in a session before anybody saw its keys gone, and these end together. */
export function judgeSessions(beliefs: readonly Belief[], goneById: ReadonlyMap<number, Gone>): string[] {
  const problems: string[] = []
  for (const { id, validUs, signalUs } of beliefs) {
    const gone = goneById.get(id)
    if (gone === undefined) continue
    const { atUs } = gone
    if (validUs > atUs) problems.push(`session ${id} was valid ${validUs - atUs} µs after its keys were seen gone`)
    if (signalUs > atUs)
      problems.push(`session ${id} was not aborted ${signalUs - atUs} µs after its keys were seen gone`)
  }
  for (const [id, { versions }] of goneById) {
    if (versions.size > 1) problems.push(`the keys of session ${id} ended at ${[...versions].join(' and ')}`)
  }
  return problems
}

/** Owners of sessions in processes of their own, and two who look at their keys: by a watch, and by reads. */
export class SessionLoad {
  readonly beliefs: Belief[] = []
  readonly owners: ClientProcess[]
  readonly #db: Db
  readonly #open = new Set<number>()
  readonly #gone = new Map<number, { atUs: number; versions: Set<number> }>()
  #watch: ReturnType<Db['kv']['watch']> | undefined
  #watched: Promise<void> = Promise.resolve()
  #looked: Promise<void> = Promise.resolve()
  #done = false

  constructor(db: Db, addresses: readonly string[], owners: number, ttlMs: number) {
    this.#db = db
    this.owners = Array.from({ length: owners }, () => {
      return new ClientProcess('./session-client.mjs', [addresses.join(','), String(ttlMs)], (line) => this.#hear(line))
    })
  }

  get lost(): number {
    return this.beliefs.filter(({ how }) => how === 'lost').length
  }

  async start(): Promise<void> {
    const watch = this.#db.kv.watch('s/')
    this.#watch = watch
    await new Promise<void>((begun) => (this.#watched = this.#observe(watch, begun)))
    this.#looked = this.#look()
  }

  #hear(line: string): void {
    const [word, id, valid, signal, how] = line.split(' ')
    if (word === 'open') this.#open.add(Number(id))
    else this.beliefs.push({ id: Number(id), validUs: Number(valid), signalUs: Number(signal), how: how! })
  }

  async #observe(watch: ReturnType<Db['kv']['watch']>, begun: () => void): Promise<void> {
    for await (const event of watch) {
      if (event.type === 'sync') begun()
      else if (event.type === 'expire') this.#isGone(event.key, event.version)
    }
  }

  /** The first key of each open session that was there once. */
  async #look(): Promise<void> {
    const there = new Set<number>()
    while (!this.#done) {
      const ids = [...this.#open]
      const found = await this.#db.kv.getMany(ids.map((id) => `s/${id}/0`))
      ids.forEach((id, i) => {
        if (found[i] !== undefined) there.add(id)
        else if (there.delete(id)) {
          this.#open.delete(id)
          this.#isGone(`s/${id}/0`, undefined)
        }
      })
      await pause(10)
    }
  }

  #isGone(key: string, version: number | undefined): void {
    const id = Number(key.split('/')[1])
    const gone = this.#gone.get(id) ?? { atUs: monotonicUs(), versions: new Set() }
    this.#gone.set(id, gone)
    if (version !== undefined) gone.versions.add(version)
  }

  /** Ends the owners, waits until nothing is left of their sessions; what is wrong. */
  async finish(): Promise<string[]> {
    await Promise.all(this.owners.map((owner) => owner.end()))
    await until('end of all sessions', async () => {
      for await (const _ of this.#db.kv.keys({ prefix: 's/' })) return false
      return true
    })
    this.#done = true
    await this.#looked
    const { version } = await this.#db.kv.put('s/0/end', 'v', { ttl: 1 })
    await until('end of the watch', () => [...(this.#gone.get(0)?.versions ?? [])].some((end) => end > version))
    await this.#watch?.return?.()
    await this.#watched
    return judgeSessions(this.beliefs, this.#gone)
  }
}
