// Directed stories about watches: what leaves, what a checkpoint carries, and how a watcher goes on somewhere else.
import { Db } from '@coppice/vkv/core'
import { check } from '../kernel/violation.js'
import { scripted } from './mutant-kit.js'
import type { Script, Scripted } from './mutant-kit.js'
import type { Story } from './stories.js'

/** Writes `count` bursts of several keys. */
async function bursts(s: Script, client: Scripted, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await Promise.all([client.put('x', 3_000), client.put('y', 3_000), client.put('z', 3_000)])
    await s.sleep(3)
  }
}

/** Resets every connection of every replica. */
function resetAll(s: Script): void {
  for (const replica of s.c.replicas) for (const link of [...replica.connections.values()]) link.break('reset')
}

/** Watchers of everything, until all of them have begun. Several: each chooses its replica at random. */
async function watchers(s: Script, count: number): Promise<void> {
  const begun = Array.from({ length: count }, () => s.w.watches.watch('', false))
  check(await s.until(() => begun.every((w) => w.next > 0), 2_000), 'I10', () => 'a watcher is never told anything')
}

export const WATCH_STORIES: readonly Story[] = [
  // One backup's disk is slow, so there is always something in the logs that is not committed; then the primary dies with it.
  scripted('watched-while-a-disk-is-slow', async (s) => {
    const [primary, backup] = s.members
    await watchers(s, 3)
    const client = s.client('writer')
    backup!.disk.slowness = 15
    const writes = Promise.all([bursts(s, client, 8), bursts(s, s.client('other'), 8)])
    await s.sleep(100)
    s.crash(primary!)
    await writes
  }),
  // A server that was brought in by a snapshot serves a watcher that goes on from long before.
  scripted(
    'new-member-serves-the-past',
    async (s) => {
      const client = s.client('writer')
      while (s.members.some((r) => r.view!.base === 1)) await client.puts('x', 20)
      const spare = s.c.replicas.find((r) => !s.members.includes(r))!
      s.c.requestReconfiguration([spare])
      check(await s.until(() => s.members[0] === spare && s.running(2), 4_000), 'I10', () => 'the spare never joins')
      s.w.watches.watch('', false, undefined, 1)
      await client.puts('x', 2)
    },
    { spares: 1, healMs: 9_000, snapshotEveryBytes: 1_500, minLogBytesKept: 0, changeLogBytes: 1_000_000 },
  ),
  // Under steady writes all connections are reset, again and again.
  scripted('watchers-lose-their-connections', async (s) => {
    await watchers(s, 4)
    const writes = bursts(s, s.client('writer'), 80)
    for (let i = 0; i < 6; i++) {
      await s.sleep(60)
      resetAll(s)
    }
    await writes
  }),
  // The members that serve are left out of the next epoch; they live on, and nobody writes to them any more.
  scripted(
    'members-are-replaced-under-watchers',
    async (s) => {
      await watchers(s, 4)
      const client = s.client('writer')
      await client.puts('x', 3)
      const others = s.c.replicas.filter((r) => !s.members.includes(r))
      s.c.requestReconfiguration(others)
      check(await s.until(() => s.members.includes(others[0]!) && s.running(2), 4_000), 'I10', () => 'no change')
      await client.puts('x', 5)
    },
    { spares: 3, healMs: 9_000 },
  ),
  // An entry changes more than a message holds; between two of these the connection is lost.
  scripted(
    'entry-is-told-in-part',
    async (s) => {
      const slow = s.w.watches.watch('big', false, 300)
      await s.until(() => slow.next > 0, 2_000)
      const { clerk } = s.client('writer')
      const db = new Db(clerk, { text: s.c.text })
      const txn = db.kv.txn()
      for (let i = 0; i < 20; i++) txn.put(`big${i}`, 'x'.repeat(9_000))
      await txn.commit()
      check(await s.until(() => slow.told.length > 0, 2_000), 'I10', () => 'nothing is told')
      check(slow.told.at(-1)!.index === slow.next, 'I10', () => 'the entry was told in one go')
      resetAll(s)
      check(await s.until(() => slow.told.length >= 20, 3_000), 'I10', () => 'the rest of the entry is never told')
      await db.close()
    },
    { changeLogBytes: 1_000_000 },
  ),
]
