// `coppice configsvc replace`, until none of the first config servers is left, while clients write and read; then everything that knows only the
// first ones finds its way.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Cluster } from './support/cluster.js'
import { runCommand, type Ran } from './support/command.js'
import { Load } from './support/load.js'
import type { ServerProcess } from './support/server-process.js'
import { until, within } from './support/wait.js'

let cluster: Cluster
let first: string[]

beforeAll(async () => {
  cluster = await Cluster.start({ replicas: 4 })
  first = cluster.addresses
})
afterAll(() => cluster?.stop())

function configsvc(...args: string[]): Promise<Ran> {
  return runCommand(['configsvc', ...args, '--config', first.join(','), '-o', 'json'])
}

async function replace(old: ServerProcess, next: ServerProcess): Promise<string[]> {
  const { code, out, err } = await configsvc('replace', old.id, '--with', `${next.id}=${next.address}`)
  expect({ code, err }).toEqual({ code: 0, err: '' })
  return (JSON.parse(out) as { configServers: { id: string }[] }).configServers.map(({ id }) => id)
}

/** What `coppice status` says of one config server. */
async function noteOf(server: ServerProcess): Promise<string> {
  return (await cluster.admin.status(server.address, 'config')).note
}

test('mistakes_areNamed_andChangeNothing', async () => {
  const spare = `c9=127.0.0.1:1`
  expect(await configsvc('replace', 'c7', '--with', spare)).toMatchObject({
    code: 3,
    err: expect.stringContaining('there is no config server c7; they are c1, c2, c3'),
  })
  expect(await configsvc('replace', 'c1', '--with', `c1=${first[0]}`)).toMatchObject({ code: 2 })
  expect(await configsvc('add', 'c9')).toMatchObject({ code: 2, err: expect.stringContaining('is not ID=HOST:PORT') })
  expect(await configsvc('add', `c2=127.0.0.1:1`)).toMatchObject({
    code: 4,
    err: expect.stringContaining('c2 is a config server already'),
  })
  expect(await configsvc('add', `r1=127.0.0.1:1`)).toMatchObject({
    code: 4,
    err: expect.stringContaining('r1 is the name of a replica'),
  })
  const [unreachable, second] = await Promise.all([
    configsvc('add', spare),
    until('the first change to be under way', async () => {
      const { note } = await cluster.admin.status((await cluster.leader()).address, 'config')
      return note.includes('add c9')
    }).then(() => configsvc('add', 'c8=127.0.0.1:2')),
  ])
  expect(unreachable).toMatchObject({ code: 4, err: expect.stringContaining('c9 does not answer at 127.0.0.1:1') })
  expect(second).toMatchObject({ code: 4, err: expect.stringContaining('another change of the config servers') })
  expect((await cluster.view()).state.configServers.map(({ id }) => id)).toEqual(['c1', 'c2', 'c3'])
})

test('sigterm_ofTheConfigLeader_anotherLeadsAtOnce', async () => {
  const tookMs: number[] = []
  for (let i = 0; i < 5; i++) {
    const leader = await cluster.leader()
    const elected = leaderAfter(leader)
    const begunAt = performance.now()
    const ended = leader.stop()
    tookMs.push((await elected) - begunAt)
    expect((await ended).code).toBe(0)
    await leader.start()
  }
  const all = tookMs.map((ms) => Math.round(ms)).join(', ')
  process.stdout.write(`  SIGTERM of the config leader, another is elected after ${all} ms\n`)
})

/** When a server other than `old` says that it was elected. */
async function leaderAfter(old: ServerProcess): Promise<number> {
  const elected = new Promise<number>((resolve) => {
    for (const server of cluster.configServers) {
      if (server === old) continue
      server.onEvent = ({ event }) => {
        if (event === 'leaderElected') resolve(performance.now())
      }
    }
  })
  const at = await within('another config leader', elected)
  for (const server of cluster.configServers) server.onEvent = undefined
  return at
}

test('allConfigServersReplaced_oneByOne_underLoad_noCallFails', async () => {
  const db = await cluster.connect()
  const load = new Load(db, 'configsvc', 32, [await cluster.connect()])
  await load.moreWrites()

  // One that follows, killed in the middle of the change: between its replacement's coming and its going.
  const leader = await cluster.leader()
  const [follower, other] = cluster.configServers.filter((server) => server !== leader) as [
    ServerProcess,
    ServerProcess,
  ]
  const c4 = await cluster.joinConfigServer('c4', first)
  expect(await noteOf(c4)).toContain('c4 has no vote; it waits to be added')
  leader.onEvent = ({ event }) => {
    if (event === 'configServersChanged') void follower.kill()
  }
  expect(await replace(follower, c4)).toEqual([leader.id, other.id, 'c4'].sort())
  expect(follower.isRunning).toBe(false)
  await load.moreWrites()

  // The leader itself.
  const c5 = await cluster.joinConfigServer('c5', first)
  const elected = leaderAfter(leader)
  let removedAt = 0
  leader.onEvent = ({ event }) => {
    if (event === 'leadHandedOver') removedAt = performance.now()
  }
  expect(await replace(leader, c5)).toEqual([other.id, 'c4', 'c5'].sort())
  process.stdout.write(
    `  the leader is removed, another is elected after ${Math.round((await elected) - removedAt)} ms\n`,
  )
  await until('the old leader to say that it was removed', async () =>
    (await noteOf(leader)).includes('can be stopped'),
  )
  expect(await cluster.leader()).not.toBe(leader)
  await leader.stop()
  await load.moreWrites()

  // The last of the first ones; it is left running for now.
  const c6 = await cluster.joinConfigServer('c6', first)
  expect(await replace(other, c6)).toEqual(['c4', 'c5', 'c6'])
  await until('the last one to say that it was removed', async () => (await noteOf(other)).includes('can be stopped'))
  await load.moreWrites()

  // A replica that is new, and knows the first addresses alone, of which one is still there.
  const r5 = await cluster.addReplica('r5', first.join(','))
  await r5.start()
  await until('r5 to register', async () => (await cluster.view()).state.servers.some(({ id }) => id === 'r5'))
  await other.stop()

  // Replicas that know the first ones alone are restarted, when none of those is left; each finds the others in its store.
  const { members } = (await cluster.view()).state
  for (const id of members) {
    await cluster.byId(id).kill()
    await cluster.byId(id).start()
    await cluster.whole()
    await load.moreWrites()
  }
  // New config servers restarted with --join and addresses that are gone.
  for (const server of [c4, c5, c6]) {
    await server.kill()
    await server.start()
  }
  await cluster.leader()
  await load.moreWrites()
  // The clerks asked nobody all the time and know the first addresses: a failover makes them look.
  await (await cluster.primary()).kill()
  await cluster.whole()
  await load.moreWrites()
  process.stdout.write(`  longest gaps: writes ${load.writeGap.take()} ms, reads ${load.readGap.take()} ms\n`)
  await load.finish()
})
