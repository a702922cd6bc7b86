// Processes whose keys end by themselves: with a ttl, or with their session. Nothing ends before its time by the clock of the one who asked; when
// a session ends by time, its process no longer believed in it; and a write that a second process repeats under the first one's idempotency
// key is done once. Transactions do all of that too.
import { CHANGE_EXPIRE, Db, type Session, STREAM_KEYS } from '@coppice/vkv/core'
import { CHANGE_SESSION_END, STREAM_SESSIONS } from '@coppice/vkv/internal'
import type { ClientHost } from '../hosts/client-host.js'
import { check } from '../kernel/violation.js'
import { sessionOf } from '../oracle/endings.js'
import { outcomeOf } from './calls.js'
import type { Workload } from './workload.js'

interface Named {
  readonly idempotencyKey: string
  readonly timeout: number
}

export class EndingClients {
  readonly #workload: Workload
  #names = 0
  #values = 0
  /** True time before which a key may not end. */
  readonly #notBefore = new Map<string, number>()
  readonly #sessions = new Map<number, { readonly session: Session; readonly host: ClientHost }>()
  /** Keys that ended by their ttl, and sessions that ended. */
  expired = 0
  ended = 0
  /** Writes that were asked for again under their idempotency key. */
  repeated = 0
  /** The same of transactions. */
  repeatedTxns = 0
  /** Transactions that gave their keys a ttl or a session. */
  lastingTxns = 0
  readonly #gone = new Set<string | number>()

  constructor(workload: Workload) {
    this.#workload = workload
  }

  start(): void {
    this.watch()
    for (let i = 0; i < 2; i++) this.#spawnTtl()
    for (let i = 0; i < 2; i++) this.#spawnSession()
    this.#spawnOnce()
  }

  /** From now on every end is judged as soon as the first machine applies it. */
  watch(): void {
    const { cluster } = this.#workload
    cluster.oracle.onChange = ({ stream, kind, topic }) => {
      if (stream === STREAM_KEYS && kind === CHANGE_EXPIRE) this.#keyEnds(topic)
      if (stream === STREAM_SESSIONS && kind === CHANGE_SESSION_END) this.#sessionEnds(sessionOf(topic))
    }
  }

  #keyEnds(key: string): void {
    const notBefore = this.#notBefore.get(key)
    if (notBefore === undefined) return
    const { now } = this.#workload.cluster.kernel
    check(now >= notBefore, 'endings', () => `${key} ends at ${now}, and not before ${notBefore} was asked for`)
    if (this.#gone.has(key)) return
    this.#gone.add(key)
    this.expired++
  }

  #sessionEnds(id: number): void {
    const owned = this.#sessions.get(id)
    if (owned === undefined || this.#gone.has(id)) return
    const { session, host } = owned
    // Looked at without asking it: that would be news to it.
    const believed = host.alive && !session.signal.aborted && host.clock.now() < session.validUntil
    check(!believed, 'endings', () => `session ${id} ends while ${host.id} may believe in it`)
    this.#gone.add(id)
    this.ended++
  }

  /** A put with a ttl; the key must be new. */
  async put(db: Db, key: string, ttlMs: number, timeoutMs: number): Promise<void> {
    this.#expect(key, ttlMs)
    await db.kv.put(key, 'v', { ttl: ttlMs, timeout: timeoutMs })
  }

  /** The same by a transaction, in the branch for a condition that fails if `other`. */
  async putByTxn(db: Db, key: string, ttlMs: number, timeoutMs: number, other = false): Promise<void> {
    this.#expect(key, ttlMs)
    const txn = db.kv.txn().get(key)
    if (other) txn.if(key, { exists: true }).else((branch) => branch.put(key, 'v', { ttl: ttlMs }))
    else txn.put(key, 'v', { ttl: ttlMs })
    await txn.commit({ timeout: timeoutMs })
    this.lastingTxns++
  }

  #expect(key: string, ttlMs: number): void {
    const { cluster } = this.#workload
    // The log's time runs on the primary's clock, which may be fast by the drift.
    this.#notBefore.set(key, cluster.kernel.now + ttlMs / (1 + cluster.plan.params.drift))
  }

  /** From now on its end is judged. */
  own(session: Session, host: ClientHost): void {
    this.#sessions.set(session.id, { session, host })
  }

  #connect(role: string): { host: ClientHost; db: Db } {
    const { host, clerk } = this.#workload.connect(`${role}${++this.#names}`)
    return { host, db: new Db(clerk, { text: this.#workload.cluster.text }) }
  }

  #spawnTtl(): void {
    const { host, db } = this.#connect('ttl')
    this.#workload.task(host, async () => {
      while (!this.#workload.stopping) {
        const key = `t/${++this.#values}`
        try {
          const ttlMs = Math.ceil(host.random.between(20, 900))
          if (host.random.chance(0.6)) await this.put(db, key, ttlMs, 4_000)
          else await this.putByTxn(db, key, ttlMs, 4_000, host.random.chance(0.5))
          // Some are written again, and then stay.
          if (host.random.chance(0.1)) await db.kv.put(key.replace('t/', 'u/'), 'v', { timeout: 4_000 })
        } catch (error) {
          outcomeOf(error)
        }
        await host.sleep(host.random.exponential(60))
      }
      await db.close()
    })
  }

  #spawnSession(): void {
    const { host, db } = this.#connect('session')
    this.#workload.task(host, async () => {
      while (!this.#workload.stopping) {
        try {
          await this.#live(db, host)
        } catch (error) {
          outcomeOf(error)
        }
        await host.sleep(host.random.exponential(100))
      }
      await db.close()
    })
  }

  /** One life of a session: keys are bound to it, then it is closed, forgotten about, or lost in a crash of its process. */
  async #live(db: Db, host: ClientHost): Promise<void> {
    const session = await db.session({ ttl: Math.ceil(host.random.between(300, 1_200)), timeout: 4_000 })
    this.own(session, host)
    const lastsUntil = host.clock.now() + host.random.between(200, 2_500)
    while (host.clock.now() < lastsUntil && session.valid && !this.#workload.stopping) {
      const lifetime = { session, ...(host.random.chance(0.3) ? { ttl: 200 } : {}) }
      const at = host.random.int(6)
      const key = (n: number): string => `e/${session.id}/${n % 6}`
      if (host.random.chance(0.6)) await db.kv.put(key(at), 'v', { ...lifetime, timeout: 2_000 })
      else {
        const txn = db.kv
          .txn()
          .put(key(at), 'v', lifetime)
          .delete(key(at + 1))
        await txn.put(key(at + 2), 'v', { session }).commit({ timeout: 2_000 })
        this.lastingTxns++
      }
      if (host.random.chance(0.2)) await db.kv.delete(`e/${session.id}/${host.random.int(6)}`, { timeout: 2_000 })
      await host.sleep(host.random.exponential(60))
    }
    if (host.random.chance(0.3) && !this.#workload.stopping) {
      this.#workload.kill(host)
      this.#spawnSession()
    } else await session.close({ timeout: 4_000 })
  }

  #spawnOnce(): void {
    const { host, db } = this.#connect('once')
    this.#workload.task(host, async () => {
      while (!this.#workload.stopping) {
        const options = { idempotencyKey: `${host.id}/${++this.#values}`, timeout: 4_000 }
        const byTxn = host.random.chance(0.5)
        const answers = new Set<string>()
        // The same write by several processes, one of which knows nothing of the others' answers.
        for (let i = 0; i < 3; i++) {
          const { host: asker, db: other } = this.#connect('asker')
          this.#workload.task(asker, async () => {
            try {
              answers.add(await (byTxn ? this.#transactOnce(other, options) : this.#putOnce(other, options)))
            } catch (error) {
              outcomeOf(error)
            }
            await other.close()
          })
        }
        await host.sleep(host.random.between(300, 1_500))
        check(answers.size <= 1, 'endings', () => `a write was done and answered with ${[...answers].join(' and ')}`)
      }
      await db.close()
    })
  }

  async #putOnce(db: Db, options: Named): Promise<string> {
    const { version } = await db.kv.put('once', options.idempotencyKey, options)
    this.repeated++
    return `${version}`
  }

  /** What it found is part of its answer, and the next one finds something else. */
  async #transactOnce(db: Db, options: Named): Promise<string> {
    const txn = db.kv.txn().get('once').put('once', options.idempotencyKey)
    const { version, results } = await txn.put('once-too', '', { ttl: 300 }).commit(options)
    this.repeatedTxns++
    return JSON.stringify([version, results])
  }

  /** In the end nothing is left that should have ended. */
  finish(boundMs: number): void {
    const { host, db } = this.#connect('reaper')
    this.#workload.task(host, async () => {
      const until = host.clock.now() + boundMs
      for (;;) {
        const left: string[] = []
        for (const prefix of ['t/', 'e/']) {
          for await (const key of db.kv.keys({ prefix, timeout: boundMs })) left.push(key)
        }
        for await (const { id } of db.sessions({ timeout: boundMs })) left.push(`session ${id}`)
        if (left.length === 0) break
        check(host.clock.now() < until, 'endings', () => `${left.join(', ')} should have ended`)
        await host.sleep(100)
      }
      await db.close()
    })
  }
}
