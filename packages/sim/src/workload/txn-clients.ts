// Processes that move amounts between several keys by transactions, and others that read them together by a transaction, by one read at
// any replica, or by a range: what nobody may ever see is another sum, half a move, or both branches of one transaction. Each key's part
// of a transaction goes into the history too.
import { Db, type KvEntry, type TxnResult } from '@coppice/vkv/core'
import { decodeTxnReply } from '@coppice/vkv/internal'
import type { ClientHost } from '../hosts/client-host.js'
import { check } from '../kernel/violation.js'
import { outcomeOf } from './calls.js'
import type { Call } from './history.js'
import type { Workload } from './workload.js'

const KEYS = ['move/a', 'move/b', 'move/c', 'move/d']
/** A transaction that is refused writes its tag here, in its other branch. */
const REFUSED = 'moves-refused'
const FIRST_AMOUNT = 25
const TOTAL = KEYS.length * FIRST_AMOUNT
/** Of each call: a client that finds no server goes on after a while. */
const TIMEOUT_MS = 4_000

type Entry = KvEntry<string, string>
interface Change {
  readonly key: string
  /** Undefined: it must be missing. */
  readonly before: Entry | undefined
  readonly amount: number
}
type Fate = 'done' | 'refused' | 'never' | 'open'

export class TxnClients {
  readonly #workload: Workload
  #names = 0
  #tags = 0
  #open = false
  readonly #fates = new Map<string, Fate>()
  moves = 0
  refusals = 0
  reads = 0

  constructor(workload: Workload) {
    this.#workload = workload
  }

  start(): void {
    const { host, db } = this.#connect('opener')
    this.#workload.task(host, async () => {
      while (!this.#open && !this.#workload.stopping) {
        await this.#transact(
          db,
          host,
          KEYS.map((key) => ({ key, before: undefined, amount: FIRST_AMOUNT })),
        )
        // Whoever it was that opened them.
        const read = await this.#read(db, host)
        this.#open = read !== undefined && read.every((entry) => entry !== undefined)
      }
      await db.close()
    })
    for (let i = 0; i < 3; i++) this.#spawn()
  }

  #connect(role: string): { host: ClientHost; db: Db } {
    const { host, clerk } = this.#workload.connect(`${role}${++this.#names}`)
    return { host, db: new Db(clerk, { text: this.#workload.cluster.text }) }
  }

  #spawn(): void {
    const { host, db } = this.#connect('mover')
    this.#workload.task(host, async () => {
      while (!this.#workload.stopping) {
        if (this.#open) await this.#one(db, host)
        await host.sleep(host.random.exponential(40))
      }
      await db.close()
    })
  }

  async #one(db: Db, host: ClientHost): Promise<void> {
    const found = await this.#read(db, host)
    if (found === undefined || host.random.chance(0.4)) return
    // Sometimes what it knows is old by the time it writes.
    if (host.random.chance(0.3)) await host.sleep(host.random.exponential(60))
    const [source, target] = host.random.shuffle(found) as [Entry, Entry]
    const amount = host.random.int(amountOf(source.value) + 1)
    await this.#transact(db, host, [
      { key: source.key, before: source, amount: amountOf(source.value) - amount },
      { key: target.key, before: target, amount: amountOf(target.value) + amount },
    ])
  }

  /** All keys together, in one of three ways; undefined: it failed. */
  async #read(db: Db, host: ClientHost): Promise<(Entry | undefined)[] | undefined> {
    const { history } = this.#workload
    const calls = KEYS.map((key) => history.begin(host.id, 'read', key, undefined))
    let found: (Entry | undefined)[]
    try {
      const dice = host.random.next()
      if (dice < 0.4) found = await db.kv.getEntries(KEYS, { timeout: TIMEOUT_MS })
      else if (dice < 0.7) found = await this.#readByTxn(db)
      else found = await this.#readByRange(db)
    } catch (error) {
      outcomeOf(error)
      return undefined
    }
    this.reads++
    calls.forEach((call, i) => this.#saw(call, found[i]))
    this.#judge(host, found)
    return found
  }

  async #readByTxn(db: Db): Promise<(Entry | undefined)[]> {
    const [a, b, c, d] = KEYS as [string, string, string, string]
    const { results } = await db.kv.txn().get(a).get(b).get(c).get(d).commit({ timeout: TIMEOUT_MS })
    return results as (Entry | undefined)[]
  }

  async #readByRange(db: Db): Promise<(Entry | undefined)[]> {
    const { random } = this.#workload.cluster
    const byKey = new Map<string, Entry>()
    const options = { prefix: 'move/', reverse: random.chance(0.5), timeout: TIMEOUT_MS }
    for await (const { entries } of db.kv.range(options).pages())
      for (const entry of entries) byKey.set(entry.key, entry)
    return KEYS.map((key) => byKey.get(key))
  }

  /** Either all of the keys are there, with the right sum, or none. */
  #judge(host: ClientHost, found: readonly (Entry | undefined)[]): void {
    const there = found.filter((entry) => entry !== undefined)
    if (there.length === 0) return
    const sum = there.reduce((total, { value }) => total + amountOf(value), 0)
    check(there.length === KEYS.length && sum === TOTAL, 'txn', () => {
      const seen = there.map(({ key, value, version }) => `${key}@${version}=${value}`)
      return `${host.id} reads ${sum} in all, not ${TOTAL}: ${seen.join(', ')}`
    })
    for (const { key, value } of there) {
      const fate = this.#fates.get(tagOf(value))
      check(
        fate !== 'refused' && fate !== 'never',
        'txn',
        () => `${key} has ${value} of a transaction that was ${fate}`,
      )
    }
  }

  /** Changes all of the keys, if each is as it was seen. */
  async #transact(db: Db, host: ClientHost, changes: readonly Change[]): Promise<void> {
    const { history } = this.#workload
    const tag = `<t${++this.#tags}>`
    const txn = db.kv.txn()
    const calls = changes.map(({ key, before, amount }) => {
      txn.check(key, before?.version ?? 0).put(key, `${amount}${tag}`)
      return {
        change: history.begin(host.id, 'cas', key, [before?.value ?? null, `${amount}${tag}`]),
        read: history.begin(host.id, 'read', key, undefined),
      }
    })
    const lifetime = host.random.chance(0.3) ? { ttl: 400 } : {}
    // Last, so that the operation ends with its tag: the ledger finds it there.
    txn.else((other) =>
      changes.reduce((branch, { key }) => branch.get(key) as never, other).put(REFUSED, tag, lifetime),
    )
    this.#fates.set(tag, 'open')
    let done: TxnResult<readonly unknown[], readonly unknown[]>
    try {
      const timeout = host.random.chance(0.15) ? host.random.between(20, 300) : TIMEOUT_MS
      done = await txn.commit({ timeout, idempotencyKey: host.random.chance(0.3) ? tag : undefined })
    } catch (error) {
      const fate = await this.#fateOf(db, error)
      this.#fates.set(tag, fate)
      for (const { change } of calls) if (fate === 'never' || fate === 'refused') history.failed(change, 'not-applied')
      return
    }
    this.#fates.set(tag, done.ok ? 'done' : 'refused')
    if (done.ok) this.moves++
    else this.refusals++
    const { version } = done
    calls.forEach(({ change, read }, i) => {
      if (done.ok) return history.end(change, 'ok', undefined, { version, value: `${changes[i]!.amount}${tag}` })
      history.failed(change, 'not-applied')
      this.#saw(read, done.results[i] as Entry | undefined)
    })
    await this.#checkRefused(db)
  }

  /** The branch that was not taken left no trace. */
  async #checkRefused(db: Db): Promise<void> {
    try {
      const tag = await db.kv.get(REFUSED, { timeout: TIMEOUT_MS })
      const fate = tag === undefined ? undefined : this.#fates.get(tag)
      check(
        fate !== 'done' && fate !== 'never',
        'txn',
        () => `the other branch of ${tag}, which was ${fate}, was applied`,
      )
    } catch (error) {
      outcomeOf(error)
    }
  }

  /** Half of the unknown outcomes are asked for; a reply that was kept says which branch it was. */
  async #fateOf(db: Db, error: unknown): Promise<Fate> {
    const outcome = outcomeOf(error)
    if (outcome === 'not-applied') return 'never'
    if (outcome === 'applied' || this.#workload.cluster.random.chance(0.5)) return 'open'
    try {
      const resolution = await db.resolve(error as never, { timeout: TIMEOUT_MS })
      if (resolution.outcome === 'not-applied') return 'never'
      const reply = resolution.reply === undefined ? undefined : decodeTxnReply(resolution.reply)
      return reply?.kind === 'success' ? 'done' : reply?.kind === 'failure' ? 'refused' : 'open'
    } catch (again) {
      outcomeOf(again)
      return 'open'
    }
  }

  #saw(call: Call, entry: Entry | undefined): void {
    const seen = entry && { version: entry.version, value: entry.value }
    this.#workload.history.end(call, 'ok', entry?.value ?? null, seen)
  }

  /** Exactly once: `executions` by the end of the operation, from its tag on. */
  checkLedger(executions: ReadonlyMap<string, number>): void {
    for (const [tag, fate] of this.#fates) {
      const times = executions.get(tag) ?? 0
      const right = fate === 'open' ? times <= 1 : times === (fate === 'never' ? 0 : 1)
      check(right, 'I6', () => `the transaction ${tag} was ${fate} and executed ${times} times`)
    }
  }

  /** When all is healed: the sum is right. */
  finish(): void {
    if (!this.#open) return
    const { host, db } = this.#connect('reader')
    this.#workload.task(host, async () => {
      const found = await this.#read(db, host)
      check(found !== undefined, 'I10', () => `after everything healed the keys cannot be read in ${TIMEOUT_MS} ms`)
      await db.close()
    })
  }
}

function amountOf(value: string): number {
  return Number.parseInt(value, 10)
}
function tagOf(value: string): string {
  return value.slice(value.indexOf('<'))
}
