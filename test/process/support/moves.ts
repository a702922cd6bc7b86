// Transactions in a recorded history: each moves an amount between two keys and is written down as what it did to each of them, under two
// processes. One that was refused has read both keys. The sum of all keys is watched beside it, for the checker looks at one key at a time.
import type { HistoryEvent } from '@coppice/sim'
import { CoppiceError, type Db, type KvEntry } from '@coppice/vkv'
import type { Recorder } from './recorder.js'

type Entry = KvEntry<string, string>
/** What is written down when it begins becomes, when it is known, what it was. */
type Draft = { -readonly [K in keyof HistoryEvent]: HistoryEvent[K] }

export class Moves {
  readonly keys: readonly string[]
  readonly total: number
  readonly problems: string[] = []
  moves = 0
  refusals = 0
  private tags = 0
  private readonly recorder: Recorder

  constructor(recorder: Recorder, keys: readonly string[], total: number) {
    this.recorder = recorder
    this.keys = keys
    this.total = total
  }

  /** All keys in one transaction, each with its share. */
  async open(db: Db): Promise<void> {
    const share = this.total / this.keys.length
    const changes = this.keys.map((key) => ({ key, before: undefined, value: this.value(share) }))
    await this.transact(db, changes)
  }

  /** Moves and reads until `stopped`. */
  async run(db: Db, stopped: () => boolean, pace?: () => Promise<void>): Promise<void> {
    for (let n = 0; !stopped(); n++) {
      await pace?.()
      const found = await this.read(db, n % 2 === 0)
      const [source, target] = [found?.[n % this.keys.length], found?.[(n * 3 + 1) % this.keys.length]]
      if (source === undefined || target === undefined || source.key === target.key) continue
      const amount = 1 + (n % 5)
      await this.transact(db, [
        { key: source.key, before: source, value: this.value(Number.parseInt(source.value, 10) - amount) },
        { key: target.key, before: target, value: this.value(Number.parseInt(target.value, 10) + amount) },
      ])
    }
  }

  private value(amount: number): string {
    return `${amount} #${++this.tags}`
  }

  private async read(db: Db, byTxn: boolean): Promise<(Entry | undefined)[] | undefined> {
    const drafts = this.keys.map((key) => this.begin('read', key))
    const end = this.keys.map(() => undefined as Entry | undefined)
    try {
      const found = byTxn
        ? await this.keys.reduce((txn, key) => txn.get(key) as never, db.kv.txn()).commit()
        : await db.kv.getEntries(this.keys)
      const entries = 'results' in found ? (found.results as readonly (Entry | undefined)[]) : found
      entries.forEach((entry, i) => (end[i] = entry))
    } catch (error) {
      if (!(error instanceof CoppiceError)) throw error
      for (const draft of drafts) this.recorder.events.push({ ...draft, type: 'fail' })
      return undefined
    }
    drafts.forEach((draft, i) => this.recorder.events.push({ ...draft, type: 'ok', value: end[i]?.value ?? null }))
    const there = end.filter((entry) => entry !== undefined)
    const sum = there.reduce((total, { value }) => total + Number.parseInt(value, 10), 0)
    if (there.length > 0 && (there.length < this.keys.length || sum !== this.total)) {
      this.problems.push(
        `${sum} in all, not ${this.total}: ${there.map(({ key, value }) => `${key}=${value}`).join(', ')}`,
      )
    }
    return end
  }

  private async transact(
    db: Db,
    changes: readonly { readonly key: string; readonly before: Entry | undefined; readonly value: string }[],
  ): Promise<void> {
    const drafts = changes.map(({ key, before, value }) => this.begin('cas', key, [before?.value ?? null, value]))
    const txn = db.kv.txn()
    for (const { key, before, value } of changes) txn.check(key, before?.version ?? 0).put(key, value)
    txn.else((other) => changes.reduce((branch, { key }) => branch.get(key) as never, other))
    const { events } = this.recorder
    try {
      const done = await txn.commit()
      if (done.ok) {
        this.moves++
        for (const draft of drafts) events.push({ ...draft, type: 'ok' })
        return
      }
      this.refusals++
      const results = done.results as readonly (Entry | undefined)[]
      drafts.forEach((draft, i) => this.becameRead(draft, 'ok', results[i]?.value ?? null))
    } catch (error) {
      if (!(error instanceof CoppiceError)) throw error
      for (const draft of drafts) {
        // One that never happened was nothing: a read that failed.
        if (error.outcome === 'not-applied') this.becameRead(draft, 'fail', null)
        else events.push({ ...draft, type: 'info' })
      }
    }
  }

  private begin(f: 'read' | 'cas', key: string, value?: unknown): Draft {
    const draft: Draft = {
      process: this.recorder.newProcess(),
      type: 'invoke',
      f,
      key,
      ...(value === undefined ? {} : { value }),
    }
    this.recorder.events.push(draft)
    return draft
  }

  private becameRead(draft: Draft, type: 'ok' | 'fail', value: string | null): void {
    draft.f = 'read'
    delete (draft as { value?: unknown }).value
    this.recorder.events.push({ ...draft, type, ...(type === 'ok' ? { value } : {}) })
  }
}
