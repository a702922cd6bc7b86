// Directed stories about servers that learn before they become members (PROTOCOL 2.2).
import type { ReplicaHost } from '../hosts/replica-host.js'
import { check } from '../kernel/violation.js'
import { scripted } from './mutant-kit.js'
import type { Script } from './mutant-kit.js'
import type { Story } from './stories.js'

export const LEARN_STORIES: readonly Story[] = [
  // Who ships to a spare dies before the first byte has left: the spare joins all the same, though the dead one never returns.
  scripted(
    'source-of-a-learner-dies',
    async (s) => {
      const client = s.client('writer')
      await client.puts('x', 3)
      let dead = false
      s.hear((_from, to, message) => {
        if (dead || message.kind !== 'fetchLog') return
        dead = true
        s.crash(s.replica(to))
      })
      const [first, second] = s.members
      const spare = s.c.replicas.find((r) => !s.members.includes(r))!
      s.c.requestReconfiguration([first!, second!, spare])
      const joined = await s.until(() => s.members.includes(spare) && s.running(3), 4_000)
      check(joined, 'I10', () => 'the spare never joins')
      await client.puts('x', 2)
    },
    { spares: 1, healMs: 9_000 },
  ),
  // The log before a snapshot is gone everywhere: the spare gets that, and knows every clerk as the others do.
  scripted(
    'spare-learns-a-snapshot',
    async (s) => {
      const client = s.client('writer')
      while (s.members.some((r) => r.view!.base === 1)) await client.puts('x', 20)
      let chunks = 0
      s.hear((_from, _to, message) => (chunks += message.kind === 'snapshotChunk' ? 1 : 0))
      const spare = s.c.replicas.find((r) => !s.members.includes(r))!
      s.c.requestReconfiguration([...s.members.slice(0, 2), spare])
      check(await s.until(() => s.members.includes(spare) && s.running(2), 4_000), 'I10', () => 'the spare never joins')
      check(chunks > 0, 'I10', () => 'the spare was not shipped a snapshot')
      await client.puts('x', 2)
    },
    { spares: 1, healMs: 9_000, snapshotEveryBytes: 1_500, minLogBytesKept: 0 },
  ),
  // A spare is killed when it has all of a snapshot but the last chunk: it goes on with what it has.
  scripted(
    'killed-learner-goes-on',
    async (s) => {
      const { spare, release } = await killHalfway(s)
      release()
      spare.start()
      const joined = await s.until(() => s.members.includes(spare) && s.running(2), 9_000)
      check(joined, 'I10', () => 'the spare never joins')
      await s.client('later').puts('x', 2)
    },
    { spares: 1, healMs: 30_000, snapshotEveryBytes: 1_500, minLogBytesKept: 0 },
  ),
  // The same, but until it is back all members have another snapshot: it begins anew.
  scripted(
    'killed-learner-finds-another-snapshot',
    async (s) => {
      const { spare, release } = await killHalfway(s)
      const had = s.members.map((r) => r.store.snapshot!.snapshotId)
      const client = s.client('later')
      while (s.members.some((r) => had.includes(r.store.snapshot!.snapshotId))) await client.puts('x', 20)
      release()
      spare.start()
      const joined = await s.until(() => s.members.includes(spare) && s.running(2), 9_000)
      check(joined, 'I10', () => 'the spare never joins')
      await client.puts('x', 2)
    },
    { spares: 1, healMs: 60_000, snapshotEveryBytes: 1_500, minLogBytesKept: 0 },
  ),
  // One member has cut its log, another has all of it. The first ships half its snapshot and dies: the log of the other makes the spare a
  // member, on the state that it had before.
  scripted(
    'snapshot-ends-halfway',
    async (s) => {
      const client = s.client('writer')
      const cut = (): ReplicaHost[] => s.members.filter((r) => r.view!.base > 1)
      while (cut().length === 0) await client.puts('x', 1)
      const [first] = cut()
      const whole = s.members.filter((r) => r !== first && r.view!.base === 1)
      // All three at once: nothing to tell in this seed.
      if (whole.length < 2) return
      s.c.requestReconfiguration([...whole, first!])
      await s.until(() => s.members.at(-1) === first && s.running(2), 4_000)
      const spare = s.c.replicas.find((r) => !s.members.includes(r))!
      s.hear((from, _to, message) => {
        if (message.kind === 'snapshotChunk' && from === first!.id && message.chunk === 1) s.crash(first!)
      })
      s.c.requestReconfiguration([...whole, spare])
      const joined = await s.until(() => s.members.includes(spare) && s.running(3), 6_000)
      check(joined, 'I10', () => 'the spare never joins')
      // Until the spare has written a snapshot of its own.
      while (spare.view!.base === 1) await client.puts('x', 10)
    },
    { spares: 1, healMs: 12_000, snapshotEveryBytes: 6_000, minLogBytesKept: 0 },
  ),
]

/** A spare is to join and is killed when its disk has all of a snapshot but the last chunk, which is lost until `release` is called. */
async function killHalfway(s: Script): Promise<{ spare: ReplicaHost; release: () => void }> {
  const client = s.client('writer')
  while (s.members.some((r) => r.view!.base === 1)) await client.puts('x', 20)
  const spare = s.c.replicas.find((r) => !s.members.includes(r))!
  const release = s.lose((_from, to, m) => m.kind === 'snapshotChunk' && to === spare.id && m.chunk === m.chunks - 1)
  s.c.requestReconfiguration([...s.members.slice(0, 2), spare])
  const halfway = await s.until(() => {
    const { unfinished } = spare.store
    return unfinished !== undefined && unfinished.have.length === unfinished.origin.chunks - 1
  }, 4_000)
  check(halfway, 'I10', () => 'the spare gets no snapshot')
  s.crash(spare)
  return { spare, release }
}
