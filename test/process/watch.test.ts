// Watchers of a cluster of real processes see every change once and in order while servers are killed and members are replaced.
import type { Db } from '@coppice/vkv'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Cluster } from './support/cluster.js'
import { runCommand } from './support/command.js'
import { watchersOf, Writer } from './support/watchers.js'

let cluster: Cluster
let db: Db

beforeAll(async () => {
  cluster = await Cluster.start({ replicas: 6 })
  db = await cluster.connect()
})
afterAll(() => cluster?.stop())

test('everyMemberKilledInTurn_watchersSeeEveryChangeOnceInOrder', async () => {
  // Six clerks choose their replicas at random: nearly surely each member serves some.
  const watchers = await watchersOf(cluster, 'kills/', 6)
  const writer = new Writer(db, 'kills/', 4)
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
  const watchers = await watchersOf(cluster, 'moves/', 3)
  const writer = new Writer(db, 'moves/', 4)
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
  const writer = new Writer(db, 'pages/', 2)
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
    if (event.type === 'delete') state.delete(event.key)
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
