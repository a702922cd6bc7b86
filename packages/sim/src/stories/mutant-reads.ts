// Directed stories about reads at any replica (PROTOCOL 4): leases, the wait for the commit, pings, what an activation implies.
import { check } from '../kernel/violation.js'
import { scripted } from './mutant-kit.js'
import type { Story } from './stories.js'

export const READ_STORIES: readonly Story[] = [
  // A member is cut off from all servers, but a client still reaches it. Without it the next epoch writes on.
  scripted('reader-stays-with-a-lost-member', async (s) => {
    const lost = s.members[2]!
    const client = s.client('writer')
    await client.puts('x', 2)
    const reader = s.reader(lost)
    await reader.read('x', 500)
    s.cut(lost.id, s.c.names)
    await s.until(() => s.c.oracle.registers.epoch === 2)
    await client.puts('x', 2)
    for (let i = 0; i < 5; i++) await reader.read('x', 100)
  }),
  // The newest value exists at the primary alone, which answers reads under its lease. Then it is gone, and so is the value.
  scripted('newest-value-dies-with-its-primary', async (s) => {
    const [primary] = s.members
    const client = s.client('writer')
    const other = s.client('reader')
    await client.puts('x', 2)
    await other.calls.get('x', 1_000)
    const reader = s.reader(primary!)
    await reader.read('x', 500)
    const before = primary!.view!.nextIndex
    s.lose((from, _to, message) => from === primary!.id && message.kind === 'append')
    void client.put('x', 400)
    await s.until(() => primary!.view!.nextIndex > before)
    await reader.read('x', 100)
    s.crash(primary!)
    s.cut(primary!.id, s.c.names)
    await s.until(() => s.running(2))
    await other.calls.get('x', 3_000)
  }),
  // A backup has an operation that its primary has committed and acknowledged, and has not heard of the commit.
  scripted('backup-does-not-hear-of-the-commit', async (s) => {
    const backup = s.members[1]!
    const client = s.client('writer')
    await client.puts('x', 2)
    await s.sleep(100)
    const reader = s.reader(backup)
    await reader.read('x', 500)
    const heard = s.lose((_from, to, message) => to === backup.id && message.kind === 'commit')
    await client.puts('x', 1)
    const answer = reader.read('x', 400)
    await s.sleep(200)
    heard()
    await answer
  }),
  // Spares enter an epoch whose controller dies before it is chosen. It never runs; the old members go on in another one.
  scripted(
    'epoch-that-never-ran',
    async (s) => {
      const spares = s.c.replicas.filter((r) => !s.members.includes(r))
      const old = s.members.map((r) => r.id)
      const client = s.client('writer')
      await client.puts('x', 3)
      await s.sleep(500)
      const found = s.loseKinds('enterReply')
      s.c.requestReconfiguration(spares)
      await s.until(() => spares.every((r) => r.store.meta.epoch === 2))
      s.crash(s.leader)
      found()
      for (const spare of spares) s.cut(spare.id, [...s.c.configs.map((h) => h.id), ...old])
      const reader = s.reader(spares[0]!)
      await reader.read('x', 400)
      await s.until(() => s.running(3))
      await client.puts('x', 1)
      await reader.read('x', 400)
    },
    { spares: 3 },
  ),
  // An idle group loses its primary before a backup heard that the last operation is committed; the next epoch says nothing either.
  scripted('idle-after-a-failover', async (s) => {
    const [primary] = s.members
    const client = s.client('writer')
    await client.puts('x', 2)
    await s.sleep(100)
    s.loseKinds('commit')
    await client.puts('x', 1)
    s.crash(primary!)
    await s.until(() => s.c.oracle.registers.epoch === 2 && s.running(2))
    s.loseKinds('append')
    const backup = s.members[1]!
    const answer = await s.reader(backup).read('x', 200)
    check(answer !== undefined, 'C2', () => `${backup.id} does not answer a read of what its epoch began with`)
  }),
]
