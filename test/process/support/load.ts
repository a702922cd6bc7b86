// Load that knows what it must find afterwards: writers whose every acknowledged step is checked, and readers that may not fail.
//
// A third of the writers each own a counter and step it by condPut: executed twice, a step would find its own effect and say so. A third
// share counters by update, so that the sum of them tells steps that were lost or done twice. A third write keys that are never
// written again. Unknown outcomes are counted and resolved; the values must lie within what they allow.
import { CoppiceError, type Db } from '@coppice/vkv'
import { expect } from 'vitest'
import { LongestGap, pause } from './wait.js'

const SHARED = 8
/** Readers leave the processors to the servers between two reads, ms. */
const READ_EVERY_MS = 2

interface Tally {
  acknowledged: number
  unknown: number
}

export class Load {
  readonly writeGap = new LongestGap()
  readonly readGap = new LongestGap()
  readonly failures: string[] = []
  writes = 0
  reads = 0
  private readonly own = new Map<string, Tally>()
  private readonly shared = new Map<string, Tally>()
  private readonly keys = new Map<string, boolean>()
  private readonly label: string
  private readonly db: Db
  private readonly work: Promise<void>[] = []
  private stopping = false

  constructor(db: Db, label: string, writers = 64, readers: readonly Db[] = []) {
    this.db = db
    this.label = label
    for (let i = 0; i < writers; i++) {
      const write = i % 3 === 0 ? this.stepOwn : i % 3 === 1 ? this.stepShared : this.writeNew
      this.work.push(this.run((n) => write.call(this, i, n)))
    }
    for (const reader of readers) this.work.push(this.read(reader))
  }

  /** Resolves after so many more acknowledged writes: the load goes on by itself. */
  async moreWrites(count = 500): Promise<void> {
    const goal = this.writes + count
    while (this.writes < goal && !this.stopping) await this.db.kv.put(`${this.label}/pulse`, String(goal))
  }

  /** Ends it and checks everything that was acknowledged. No call may have failed but with an unknown outcome. */
  async finish(): Promise<void> {
    this.stopping = true
    await Promise.all(this.work)
    expect(this.failures).toEqual([])
    for (const [key, tally] of [...this.own, ...this.shared]) {
      const value = Number((await this.db.kv.get(key)) ?? 0)
      expect(value, key).toBeGreaterThanOrEqual(tally.acknowledged)
      expect(value, key).toBeLessThanOrEqual(tally.acknowledged + tally.unknown)
    }
    const names = [...this.keys]
    const found = await this.db.kv.getMany(names.map(([key]) => key))
    const missing = names.filter(([key, acknowledged], i) => acknowledged && found[i] !== key).map(([key]) => key)
    expect(missing, 'acknowledged writes that are not there').toEqual([])
  }

  get unknown(): number {
    const tallies = [...this.own.values(), ...this.shared.values()]
    return tallies.reduce((sum, { unknown }) => sum + unknown, 0) + [...this.keys.values()].filter((ok) => !ok).length
  }

  private async run(step: (n: number) => Promise<void>): Promise<void> {
    for (let n = 0; !this.stopping; n++) {
      try {
        await step(n)
        this.writes++
        this.writeGap.note()
      } catch (error) {
        this.failures.push(describe(error))
        return
      }
    }
  }

  private async read(db: Db): Promise<void> {
    while (!this.stopping) {
      try {
        await db.kv.get(`${this.label}/pulse`)
        this.reads++
        this.readGap.note()
        await pause(READ_EVERY_MS)
      } catch (error) {
        this.failures.push(`read: ${describe(error)}`)
        return
      }
    }
  }

  private async stepOwn(writer: number, n: number): Promise<void> {
    const key = `${this.label}/own/${writer}`
    const stepped = await this.counted(tallyOf(this.own, key), () =>
      this.db.kv.condPut(key, n === 0 ? undefined : String(n), String(n + 1)),
    )
    if (stepped?.ok === false)
      throw new Error(`${key}: step ${n} found ${stepped.current?.value}: it was done twice or lost`)
  }

  private async stepShared(writer: number): Promise<void> {
    const key = `${this.label}/shared/${writer % SHARED}`
    await this.counted(tallyOf(this.shared, key), () =>
      this.db.kv.update(key, (value) => String(Number(value ?? 0) + 1)),
    )
  }

  private async writeNew(writer: number, n: number): Promise<void> {
    const key = `${this.label}/new/${writer}/${n}`
    this.keys.set(key, false)
    await this.db.kv.put(key, key)
    this.keys.set(key, true)
  }

  private async counted<T>(tally: Tally, step: () => Promise<T>): Promise<T | undefined> {
    tally.unknown++
    const result = await step()
    tally.unknown--
    tally.acknowledged++
    return result
  }
}

function tallyOf(tallies: Map<string, Tally>, key: string): Tally {
  const found = tallies.get(key) ?? { acknowledged: 0, unknown: 0 }
  tallies.set(key, found)
  return found
}

function describe(error: unknown): string {
  return error instanceof CoppiceError ? `${error.code} ${error.outcome}: ${error.message}` : String(error)
}
