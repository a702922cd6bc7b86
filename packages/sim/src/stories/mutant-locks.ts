// Directed stories about locks (PROTOCOL 9): to whom a lock goes that is released or left behind, and what its waiters learn of it.
import { Db, type HeldLock } from '@coppice/vkv/core'
import {
  decodeAcquireReply,
  decodeOpenReply,
  encodeAcquire,
  encodeEndSession,
  encodeOpenSession,
  encodeRelease,
  END_REVOKED,
} from '@coppice/vkv/internal'
import { check } from '../kernel/violation.js'
import { scripted } from './mutant-kit.js'
import type { Script } from './mutant-kit.js'
import type { Story } from './stories.js'

const LOCK = 'told'
/** A waiter that is woken holds the lock within this time, ms: no more than some round trips. */
const WOKEN_MS = 200

interface Waiter {
  lock: HeldLock | undefined
}

function open(s: Script, name: string): Db {
  return new Db(s.client(name).clerk, { text: s.c.text })
}

/** Waits for the lock in a process of its own. */
function wait(s: Script, name: string, ttlMs: number): Waiter {
  const waiter: Waiter = { lock: undefined }
  void open(s, name)
    .lock(LOCK, { ttl: ttlMs, timeout: 60_000 })
    .then((lock) => (waiter.lock = lock))
  return waiter
}

async function queued(s: Script, db: Db, count: number): Promise<void> {
  for (;;) {
    for await (const lock of db.locks({ prefix: LOCK })) if (lock.waiters === count) return
    await s.sleep(5)
  }
}

async function holdsWithin(s: Script, waiter: Waiter, ms: number, when: string): Promise<HeldLock> {
  const holds = await s.until(() => waiter.lock !== undefined, ms)
  check(holds, 'lock', () => `a waiter does not hold the lock ${ms} ms after ${when}`)
  return waiter.lock!
}

export const LOCK_STORIES: readonly Story[] = [
  // A holder stands still for longer than its lock lasts. When it goes on, another has the lock.
  scripted('holder-writes-after-its-time', async (s) => {
    const { host, clerk } = s.client('stopped')
    const stopped = await new Db(clerk, { text: s.c.text }).lock(LOCK, { ttl: 400 })
    const waiter = wait(s, 'waiter', 2_000)
    await queued(s, open(s, 'looker'), 1)
    host.pause(1_500)
    const next = await holdsWithin(s, waiter, 1_000, 'the end of the holding')
    check(next.token > stopped.token, 'lock', () => `token ${next.token} was given out after ${stopped.token}`)
    await s.sleep(1_000)
    const late = await stopped.kv.put('guarded', 'late').catch((error: unknown) => error)
    check(!(typeof late === 'object' && late !== null && 'version' in late), 'lock', () => {
      return 'a holder whose lock another has has written'
    })
  }),
  // The lock is released, and a message later its first waiter has it.
  scripted('waiter-is-woken', async (s) => {
    const holder = await open(s, 'holder').lock(LOCK, { ttl: 5_000 })
    const first = wait(s, 'first', 5_000)
    await queued(s, open(s, 'looker'), 1)
    await holder.release()
    await holdsWithin(s, first, WOKEN_MS, 'its release')
  }),
  // Nobody releases it, for the holder is gone.
  scripted('holder-dies', async (s) => {
    const { host, clerk } = s.client('dying')
    await new Db(clerk, { text: s.c.text }).lock(LOCK, { ttl: 600 })
    const waiter = wait(s, 'waiter', 5_000)
    await queued(s, open(s, 'looker'), 1)
    host.crash()
    const lock = await holdsWithin(s, waiter, 600 + WOKEN_MS, 'its holder was heard last')
    check(lock.taken === 'expired', 'lock', () => 'a holder died, and the next one is not told so')
  }),
  // A waiter's session ends in the entry before the one that releases the lock: nothing was swept in between.
  scripted('waiter-lapses-just-before-the-release', async (s) => {
    const { clerk } = s.client('all')
    const { text } = s.c
    const [lock, a, b, c] = [LOCK, 'a', 'b', 'c'].map((word) => text.encode(word)) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ]
    const session = async (): Promise<number> => decodeOpenReply(await clerk.submit(encodeOpenSession(60_000, a)))!
    const [ending, living] = [await session(), await session()]
    const acquire = async (owner: Uint8Array, of: number) =>
      decodeAcquireReply(await clerk.submit(encodeAcquire(lock, owner, 5_000, of)))
    const { fence } = await acquire(a, 0)
    await acquire(b, ending)
    await acquire(c, living)
    await Promise.all([
      clerk.submit(encodeEndSession(ending, END_REVOKED)),
      clerk.submit(encodeRelease(lock, a, fence)),
    ])
    const { kind } = await acquire(c, living)
    check(kind === 'acquired', 'lock', () => 'the lock was given to a waiter whose session had ended')
  }),
  // A process dies while it waits. Its place has lapsed long before the lock is released.
  scripted(
    'waiter-dies',
    async (s) => {
      const holder = await open(s, 'holder').lock(LOCK, { ttl: 5_000 })
      const { host, clerk } = s.client('dying')
      void new Db(clerk, { text: s.c.text }).lock(LOCK, { timeout: 60_000 })
      const looker = open(s, 'looker')
      await queued(s, looker, 1)
      const next = wait(s, 'next', 5_000)
      await queued(s, looker, 2)
      host.crash()
      await s.sleep(11_000)
      await holder.release()
      await holdsWithin(s, next, WOKEN_MS, 'its release')
    },
    { healMs: 16_000 },
  ),
  // A lock that a waiter was given is not its own before it has said so: until then it can go to the next one soon.
  scripted(
    'grant-is-held-for-long',
    async (s) => {
      const holder = await open(s, 'holder').lock(LOCK, { ttl: 5_000 })
      const looker = open(s, 'looker')
      const first = wait(s, 'first', 60_000)
      await queued(s, looker, 1)
      const second = wait(s, 'second', 5_000)
      await queued(s, looker, 2)
      await holder.release()
      const lock = await holdsWithin(s, first, WOKEN_MS, 'its release')
      await s.until(() => second.lock !== undefined, 5_000)
      check(second.lock === undefined || !lock.valid, 'lock', () => 'two believe in one lock')
    },
    { healMs: 9_000 },
  ),
]
