// Directed stories about the log of one epoch: durability, acknowledgements, duplicates, one proposing incarnation (PROTOCOL 2.7, 5, 6).
import { scripted } from './mutant-kit.js'
import type { Script, Scripted } from './mutant-kit.js'
import type { Story } from './stories.js'

/** Writes all the time until told to stop, several at once. */
function writeOn(s: Script, client: Scripted): () => void {
  let stopped = false
  const loop = async (): Promise<void> => {
    while (!stopped) {
      await Promise.all([client.put('x', 3_000), client.put('y', 3_000), client.put('z', 3_000)])
      await s.sleep(4)
    }
  }
  void loop()
  return () => (stopped = true)
}

export const REPLICATION_STORIES: readonly Story[] = [
  // One backup's disk is slow while many write and read everywhere; then the primary dies and its backups are sealed in the middle of it.
  scripted('one-slow-disk-then-failover', async (s) => {
    const [primary, backup] = s.members
    const readers = s.members.map((r) => s.reader(r))
    const stop = writeOn(s, s.client('writer'))
    backup!.disk.slowness = 15
    const asks = s.c.kernel.now + 600
    while (s.c.kernel.now < asks) await Promise.all(readers.map((r) => r.read('x', 200)))
    s.crash(primary!)
    await s.until(() => s.running(2))
    await s.sleep(200)
    stop()
  }),
  // kill -9 of the primary and an immediate restart, under load: it may not go on in its epoch.
  scripted('primary-restarts-at-once', async (s) => {
    const [primary] = s.members
    const stop = writeOn(s, s.client('writer'))
    await s.sleep(200)
    s.crash(primary!)
    primary!.start()
    await s.sleep(1_500)
    stop()
    await s.until(() => s.running(1))
  }),
  // An operation is admitted and cannot be committed yet; the clerk's connection breaks, and it sends the operation again.
  scripted('sent-again-before-commit', async (s) => {
    const [primary] = s.members
    const client = s.client('writer')
    await client.puts('x', 2)
    const before = primary!.view!.nextIndex
    const found = s.loseKinds('append')
    const put = client.put('x')
    await s.until(() => primary!.view!.nextIndex > before)
    for (const link of [...primary!.connections.values()]) link.break('reset by the story')
    await s.sleep(120)
    found()
    await put
    await client.puts('x', 2)
  }),
  // A put is given up while it is in the log and not committed; the next one of the same clerk must not take its place.
  scripted('given-up-and-another', async (s) => {
    const [primary] = s.members
    const client = s.client('writer')
    await client.puts('x', 2)
    const before = primary!.view!.nextIndex
    const found = s.loseKinds('append')
    const first = client.put('x', 60)
    await s.until(() => primary!.view!.nextIndex > before)
    await first
    const second = client.put('x')
    await s.sleep(50)
    found()
    await second
    await client.calls.get('x', 5_000)
  }),
]
