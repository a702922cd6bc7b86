// Directed stories about checkpoints: what an ENTER may change, who may be a source, where two logs agree (PROTOCOL 2.1, 2.3, 2.4, 5 D).
import type { Message } from '@coppice/protocol'
import type { ReplicaHost } from '../hosts/replica-host.js'
import { ReplicaStore } from '../hosts/replica-store.js'
import { ReplicaDisk } from '../hosts/replica-disk.js'
import { scripted } from './mutant-kit.js'
import type { Script } from './mutant-kit.js'
import type { Story } from './stories.js'

/** The disk as it is now, to be put back later: a machine restored from an old image. The oracle trusts it no more. */
function imageOf(s: Script, host: ReplicaHost): () => void {
  const { meta, records, snapshot } = host.store
  const image = new ReplicaStore(meta.id, meta.group, meta.storeId, () => undefined)
  image.meta = meta
  image.records = [...records]
  image.snapshot = snapshot
  image.highestEnd = host.store.end
  for (const [id, chunks] of host.store.chunksBySnapshot) image.chunksBySnapshot.set(id, [...chunks])
  return () => {
    host.store.destroyed = true
    host.store = image
    host.disk = new ReplicaDisk(s.c.kernel, s.c.random.fork(), s.c.plan.diskMs, (write) => image.apply(write))
  }
}

export const EPOCH_STORIES: readonly Story[] = [
  // Both backups have acknowledged an operation and not heard of its commit when the ENTER of their epoch comes once more.
  scripted('enter-comes-again', async (s) => {
    const client = s.client('writer')
    await client.puts('x', 2)
    const enters: { from: string; to: string; message: Message }[] = []
    s.hear((from, to, message) => {
      if (message.kind === 'enter' && message.epoch === 2) enters.push({ from, to, message })
    })
    const [first, second, third] = s.members
    s.loseKinds('commit')
    s.c.requestReconfiguration([second!, first!, third!])
    await s.until(() => s.running(2))
    await s.sleep(50)
    await client.puts('x', 1)
    const backups = s.members.slice(1)
    const leader = s.leader
    for (const backup of backups) {
      const again = enters.find((e) => e.to === backup.id && e.from === leader.id)!
      s.c.network.send(leader, again.to, again.message)
    }
    await s.sleep(20)
    s.crash(s.members[0]!, leader)
    await s.until(() => s.c.oracle.registers.epoch > 2)
  }),
  // The log of the primary ends with an operation that nobody else has; the next epoch writes another one in its place and no more.
  scripted('old-primary-returns-with-a-tail-of-its-own', async (s) => {
    const [primary] = s.members
    const client = s.client('writer')
    const other = s.client('other')
    await client.puts('x', 2)
    await other.puts('y', 2)
    await s.sleep(100)
    const before = primary!.store.end
    const found = s.lose((from, _to, message) => from === primary!.id && message.kind === 'append')
    void client.put('x', 100)
    await s.until(() => primary!.store.end > before)
    s.crash(primary!)
    found()
    await s.until(() => s.running(2))
    await other.puts('y', 1)
    primary!.start()
    await s.until(() => s.c.oracle.registers.epoch > 2 && s.running(3))
    await other.puts('y', 2)
  }),
  // One target enters, the others are not told; then the controller dies. The next one must take another number.
  scripted('controller-dies-between-two-enters', async (s) => {
    const client = s.client('writer')
    await client.puts('x', 2)
    const [first, second, third] = s.members
    const found = s.lose((_from, to, message) => message.kind === 'enter' && message.epoch === 2 && to !== second!.id)
    s.c.requestReconfiguration([second!, first!, third!])
    await s.until(() => second!.store.meta.epoch === 2)
    s.crash(s.leader)
    found()
    await s.until(() => s.c.oracle.registers.epoch > 1)
    await client.puts('x', 2)
  }),
  // A member comes back from an old image of its disk, in the epoch before; the others have just been restarted and answer SEAL late.
  scripted(
    'member-comes-back-from-an-old-image',
    async (s) => {
      const [first, second, third] = s.members
      const [spare] = s.c.replicas.filter((r) => !s.members.includes(r))
      const client = s.client('writer')
      await client.puts('x', 3)
      await s.sleep(300)
      const restore = imageOf(s, second!)
      s.c.requestReconfiguration([first!, second!, spare!])
      await s.until(() => s.running(2))
      third!.retired = true
      s.crash(third!)
      await client.puts('x', 3)
      s.crash(first!, second!, spare!, s.leader)
      restore()
      const found = s.lose((_from, to, message) => message.kind === 'seal' && to !== second!.id)
      for (const host of [first!, second!, spare!]) host.start()
      let sealing = false
      s.c.onEvent = (_node, name, fields) => (sealing ||= name === 'attemptStep' && fields['step'] === 'seal')
      await s.until(() => sealing)
      await s.sleep(800)
      found()
      await s.until(() => s.c.oracle.registers.epoch > 2)
      await client.puts('x', 2)
    },
    { spares: 1, healMs: 12_000 },
  ),
]
