// Watchers of a cluster of real processes see every change once and in order while servers are killed and members are replaced.
import type { Db, WatchEvent } from '@coppice/vkv'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Cluster } from './support/cluster.js'
import { runCommand } from './support/command.js'
import { until } from './support/wait.js'

let cluster: Cluster
let db: Db

beforeAll(async () => {
  cluster = await Cluster.start({ replicas: 6 })
  db = await cluster.connect()
})
afterAll(() => cluster?.stop())

/** Writes numbered values, one after the other, several keys at once, until told to stop. */
class Writer {
  /** Version of every acknowledged write, by `key value`. */
  readonly written = new Map<string, number>()
  readonly #prefix: string
  #stopped = false
  readonly #done: Promise<unknown>

  constructor(prefix: string, keys: number) {
    this.#prefix = prefix
    this.#done = Promise.all(Array.from({ length: keys }, (_, i) => this.#loop(`${prefix}${i}`)))
  }

  async #loop(key: string): Promise<void> {
    for (let n = 0; !this.#stopped; n++) {
      const { version } = await db.kv.put(key, `${n}`)
      this.written.set(`${key} ${n}`, version)
    }
  }

  async more(count = 200): Promise<void> {
    const { size } = this.written
    await until(`writes below ${this.#prefix}`, () => Promise.resolve(this.written.size >= size + count || undefined))
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#done
  }
}

/** Watches until it is closed, and notes what it saw. */
class Watcher {
  readonly seen: (readonly [change: string, version: number])[] = []
  readonly #watch: AsyncIterableIterator<WatchEvent<string, string>>
  readonly #ended: Promise<void>
  readonly begun: Promise<void>

  constructor(from: Db, prefix: string) {
    this.#watch = from.kv.watch(prefix)
    let begun: () => void
    this.begun = new Promise((resolve) => (begun = resolve))
    this.#ended = this.#run(() => begun())
  }

  async #run(onSync: () => void): Promise<void> {
    for await (const event of this.#watch) {
      if (event.type === 'put') this.seen.push([`${event.key} ${event.value}`, event.version])
      if (event.type === 'sync') onSync()
    }
  }

  /** Waits until it has seen as much as was written, and ends it. */
  async finish(written: ReadonlyMap<string, number>): Promise<void> {
    await until('all changes', () => Promise.resolve(this.seen.length >= written.size || undefined))
    await this.#watch.return?.()
    await this.#ended
    const inOrder = [...written].sort((a, b) => a[1] - b[1])
    expect(this.seen).toEqual(inOrder)
  }
}

async function watchersOf(prefix: string, count: number): Promise<Watcher[]> {
  const watchers: Watcher[] = []
  for (let i = 0; i < count; i++) watchers.push(new Watcher(await cluster.connect(), prefix))
  await Promise.all(watchers.map(({ begun }) => begun))
  return watchers
}

test('everyMemberKilledInTurn_watchersSeeEveryChangeOnceInOrder', async () => {
  // Six clerks choose their replicas at random: nearly surely each member serves some.
  const watchers = await watchersOf('kills/', 6)
  const writer = new Writer('kills/', 4)
  for (let i = 0; i < 3; i++) {
    await writer.more()
    // The primary first, then whoever was a backup.
    const members = await cluster.members()
    const victim = members[i === 0 ? 0 : i]!
    await victim.kill()
    await writer.more()
    await victim.start()
    await cluster.whole()
  }
  await writer.more()
  await writer.stop()
  for (const watcher of watchers) await watcher.finish(writer.written)
})

test('disjointMembers_watchersGoOnWithoutAGap', async () => {
  const watchers = await watchersOf('moves/', 3)
  const writer = new Writer('moves/', 4)
  await writer.more()
  const before = (await cluster.members()).map(({ id }) => id)
  const others = cluster.replicas.map(({ id }) => id).filter((id) => !before.includes(id))
  const result = await cluster.admin.reconfigure(others, 'disjoint')
  expect(result.ok).toBe(true)
  await cluster.whole(others)
  for (const id of before) await cluster.byId(id).kill()
  await writer.more()
  await writer.stop()
  for (const watcher of watchers) await watcher.finish(writer.written)
  for (const id of before) await cluster.byId(id).start()
})

test('watchThatBeginsInThePast_continuesAPageOfARangeWithoutAGap', async () => {
  const writer = new Writer('pages/', 2)
  await writer.more(50)
  const state = new Map<string, string>()
  let from = Infinity
  for await (const { entries, index } of db.kv.range({ prefix: 'pages/' }).pages()) {
    for (const { key, value } of entries) state.set(key, value)
    from = Math.min(from, index)
  }
  await writer.more(50)
  await writer.stop()
  const { version } = await db.kv.put('pages/end', '')
  for await (const event of db.kv.watch('pages/', { from })) {
    if (event.type === 'put') state.set(event.key, event.value)
    if (event.type === 'put' && event.version === version) break
  }
  for (const [key, value] of state) expect(value).toBe(await db.kv.get(key))
})

test('command_kvWatch_oneLineAChange_endsWith130', async () => {
  const { version } = await db.kv.put('cli/a', 'first')
  await db.kv.delete('cli/a')
  const config = cluster.addresses.join(',')
  const ran = await runCommand(['kv', 'watch', 'cli/', '--from', String(version), '-o', 'json', '--config', config], {
    onStarted: (child) => {
      let lines = 0
      child.stdout!.on('data', (data: Buffer) => {
        lines += data.toString().split('\n').length - 1
        if (lines >= 2) child.kill('SIGINT')
      })
    },
  })
  expect(ran.code).toBe(130)
  const lines = ran.out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as object)
  expect(lines).toMatchObject([
    { type: 'put', key: 'cli/a', value: 'first', version, next: version + 1 },
    { type: 'delete', key: 'cli/a' },
  ])
})
