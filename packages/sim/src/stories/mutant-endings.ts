// Directed stories about what ends by the log's time: keys with a ttl, sessions, idempotency keys (PROTOCOL 6, expiry by log position).
import { CoppiceError, MAX_SESSION_KEYS } from '@coppice/protocol'
import { Db } from '@coppice/vkv/core'
import { MAX_TXN_PARTS } from '@coppice/vkv/internal'
import { check } from '../kernel/violation.js'
import { scripted } from './mutant-kit.js'
import type { Script, Scripted } from './mutant-kit.js'
import type { Story } from './stories.js'

/** Between two ticks, ms of the primary's clock; and what a rounded millisecond and the network's way of looking add. */
const TICK_MS = 10
const ROUNDING_MS = 3

function connect(s: Script, client: Scripted): Db {
  s.w.endings.watch()
  return new Db(client.clerk, { text: s.c.text })
}

const ONCE = { idempotencyKey: 'order 7' }

/** The process that writes dies with its answer, which others get that repeat the write, whatever was written between them. */
async function repeated(s: Script, write: (db: Db) => Promise<string>): Promise<void> {
  const first = s.client('first')
  const next = (): number => s.members[0]!.view!.nextIndex
  const db = connect(s, first)
  await first.puts('x', 1)
  const begun = next()
  void write(db)
  await s.until(() => next() > begun)
  first.host.crash()
  const answers = new Set<string>()
  for (const name of ['second', 'third']) {
    const other = connect(s, s.client(name))
    answers.add(await write(other))
    await other.kv.put('order', 'shipped')
  }
  check(answers.size === 1, 'endings', () => `the order is paid and answered with ${[...answers].join(' and ')}`)
}

/** How it fails; undefined: it does not. */
async function refusalOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work
    return undefined
  } catch (error) {
    if (error instanceof CoppiceError) return error.code
    throw error
  }
}

/** A record waits for a slow disk and grows; its last operation puts a key that ends. */
async function inOldRecord(s: Script, putLasting: (db: Db) => Promise<void>): Promise<void> {
  const [primary, backup] = s.members
  const writer = s.client('writer')
  const db = connect(s, writer)
  await writer.puts('x', 2)
  backup!.disk.slowness = 500
  const next = (): number => primary!.view!.nextIndex
  const begun = next()
  const first = writer.put('x')
  await s.until(() => next() > begun)
  await s.sleep(2)
  const second = writer.put('y')
  await s.until(() => next() > begun + 1)
  await s.sleep(150)
  const third = putLasting(db)
  await s.until(() => s.w.endings.expired === 1, 1_500)
  backup!.disk.slowness = 1
  await Promise.all([first, second, third])
  await s.until(() => s.w.endings.expired === 1)
}

export const ENDING_STORIES: readonly Story[] = [
  // Keys end in one tick at every member, not before their time and at most a tick after it; one that was written again stays.
  scripted('keys-end-in-their-tick', async (s) => {
    const db = connect(s, s.client('writer'))
    const { drift } = s.c.plan.params
    for (let i = 1; i <= 5; i++) {
      const key = `t/${i}`
      await s.w.endings.put(db, key, 120, 5_000)
      const answered = s.c.kernel.now
      await db.kv.put(`stays/${i}`, 'v', { ttl: 60 })
      await db.kv.put(`stays/${i}`, 'w')
      const latest = answered + (120 + TICK_MS + ROUNDING_MS) / (1 - drift)
      const ended = await s.until(() => s.w.endings.expired === i, latest - s.c.kernel.now)
      check(ended, 'endings', () => `${key} has not ended at ${latest}`)
      // The tick is committed by then.
      await s.sleep(20)
      check((await db.kv.get(key)) === undefined, 'endings', () => `${key} is read after its end`)
      check((await db.kv.get(`stays/${i}`)) === 'w', 'endings', () => `stays/${i} has ended`)
    }
  }),
  // A put with a ttl arrives when the record has been open for longer than that ttl; so does a transaction that makes one.
  scripted('ttl-in-a-record-begun-earlier', (s) => inOldRecord(s, (db) => s.w.endings.put(db, 't/1', 60, 5_000))),
  scripted('ttl-of-a-transaction-in-a-record-begun-earlier', (s) =>
    inOldRecord(s, (db) => s.w.endings.putByTxn(db, 't/1', 60, 5_000)),
  ),
  // The primary stands still past a key's end, and what it was sent meanwhile comes before its timer.
  scripted('primary-stands-still-past-a-ttl', async (s) => {
    const writer = s.client('writer')
    const db = connect(s, writer)
    for (let i = 1; i <= 2; i++) {
      await Promise.all([s.w.endings.put(db, `t/${i}`, 150, 5_000), s.w.endings.put(db, `t/${i}+`, 150, 5_000)])
      s.members[0]!.pause(400)
      await writer.puts('x', 1)
      await s.until(() => s.w.endings.expired === 2 * i)
    }
  }),
  // A session lives for many times its ttl, over the death of the primary, and ends with its keys when its process dies.
  scripted(
    'session-outlives-its-ttl-and-a-primary',
    async (s) => {
      const owner = s.client('owner')
      const db = connect(s, owner)
      const other = connect(s, s.client('other'))
      const session = await db.session({ ttl: 2_000 })
      s.w.endings.own(session, owner.host)
      await db.kv.put('e/1', 'v', { session })
      await db.kv.put('e/2', 'v', { session })
      await s.sleep(3_000)
      s.crash(s.members[0]!)
      await s.until(() => s.running(2))
      await s.sleep(2_500)
      check(session.valid && (await other.kv.get('e/1')) === 'v', 'endings', () => 'the session did not live on')
      owner.host.crash()
      await s.until(() => s.w.endings.ended === 1)
      // It is committed by then.
      await s.sleep(20)
      const left = await other.kv.getMany(['e/1', 'e/2'])
      check(
        left.every((value) => value === undefined),
        'endings',
        () => 'keys outlive their session',
      )
    },
    { healMs: 12_000 },
  ),
  // A keep-alive arrives, its answer comes late, and no further one arrives: the session's time counts from when it was sent.
  scripted(
    'answer-of-a-keep-alive-comes-late',
    async (s) => {
      const owner = s.client('owner')
      const db = connect(s, owner)
      const session = await db.session({ ttl: 3_000 })
      s.w.endings.own(session, owner.host)
      await db.kv.put('e/1', 'v', { session })
      const servers = s.c.replicas.map((r) => r.id)
      await s.sleep(800)
      for (const id of servers) s.c.network.block(id, owner.host.id)
      await s.sleep(1_650)
      for (const id of servers) {
        s.c.network.block(owner.host.id, id)
        s.c.network.unblock(id, owner.host.id)
      }
      await s.until(() => s.w.endings.ended === 1, 3_500)
      check(s.w.endings.ended === 1, 'story', () => 'the session has not ended')
    },
    { healMs: 9_000 },
  ),
  // The process that wrote under an idempotency key dies with its answer; others write the same.
  scripted('repeated-under-its-idempotency-key', (s) =>
    repeated(s, async (db) => `${(await db.kv.put('order', 'paid', ONCE)).version}`),
  ),
  scripted('transaction-repeated-under-its-idempotency-key', (s) =>
    repeated(s, async (db) => {
      const { version, results } = await db.kv.txn().get('order').put('order', 'paid').commit(ONCE)
      return JSON.stringify([version, results])
    }),
  ),
  // Transactions give keys a ttl, in either branch, and bind some to a session: these end with it, and no key is bound to it afterwards.
  scripted('keys-of-transactions-end', async (s) => {
    const owner = s.client('owner')
    const db = connect(s, owner)
    await s.w.endings.putByTxn(db, 't/1', 120, 5_000)
    await s.w.endings.putByTxn(db, 't/2', 120, 5_000, true)
    const allEnd = await s.until(() => s.w.endings.expired === 2, 1_000)
    check(allEnd, 'endings', () => 'keys that transactions wrote with a ttl have not ended')
    const session = await db.session({ ttl: 2_000 })
    s.w.endings.own(session, owner.host)
    const bound = { session }
    await db.kv.txn().put('e/1', 'v', bound).put('e/2', 'v', bound).put('stays', 'v').commit()
    await db.kv.txn().put('e/2', 'w').delete('e/3').commit()
    await session.close()
    const left = await db.kv.getMany(['e/1', 'e/2', 'stays'])
    check(`${left.join()}` === ',w,v', 'endings', () => `after its session has ended there are ${left.join()}`)
    const refused = await refusalOf(db.kv.txn().put('other', 'v').put('e/1', 'v', bound).commit())
    check(refused === 'SESSION_ENDED', 'endings', () => `a key was bound to a session that has ended: ${refused}`)
    check((await db.kv.get('other')) === undefined, 'endings', () => 'a transaction that was refused has written')
  }),
  // A session takes as many keys as it may have, the last of them in one transaction with one too many.
  scripted('session-filled-by-transactions', async (s) => {
    const owner = s.client('owner')
    const db = connect(s, owner)
    const session = await db.session({ ttl: 30_000 })
    s.w.endings.own(session, owner.host)
    let next = 0
    const bind = async (keys: number): Promise<void> => {
      const txn = db.kv.txn()
      for (let i = 0; i < keys; i++) txn.put(`e/${next + i}`, 'v', { session })
      await txn.commit()
      next += keys
    }
    const room = MAX_SESSION_KEYS - 1
    while (next < room) await bind(Math.min(room - next, MAX_TXN_PARTS))
    const refused = await refusalOf(bind(2))
    check(refused === 'LIMIT_REACHED', 'endings', () => `one key too many was bound: ${refused}`)
    await bind(1)
    await session.close()
    check((await db.kv.count({ prefix: 'e/' })) === 0, 'endings', () => 'keys outlive their session')
  }),
]
