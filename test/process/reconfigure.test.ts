// `coppice reconfigure --to` to an entirely different set of replicas under load: no call fails, reads go on.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Cluster } from './support/cluster.js'
import { runCommand } from './support/command.js'
import { Load } from './support/load.js'

let cluster: Cluster

beforeAll(async () => {
  cluster = await Cluster.start({ replicas: 6 })
})
afterAll(() => cluster?.stop())

test('reconfigureToOtherReplicas_underLoad_noCallFails_readsGoOn', async () => {
  const db = await cluster.connect()
  const readers = await Promise.all([cluster.connect(), cluster.connect(), cluster.connect()])
  const load = new Load(db, 'moved', 64, readers)
  for (let round = 0; round < 3; round++) {
    await load.moreWrites()
    const { epoch, members } = (await cluster.view()).state
    const to = cluster.replicas.map(({ id }) => id).filter((id) => !members.includes(id))
    load.writeGap.take()
    load.readGap.take()
    const { code, out, err } = await runCommand([
      'reconfigure',
      '--to',
      to.join(','),
      '--config',
      cluster.addresses.join(','),
      '-o',
      'json',
    ])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    const answer = JSON.parse(out) as { epoch: number; members: string[] }
    expect(answer.members).toEqual(to)
    expect(answer.epoch).toBeGreaterThan(epoch)
    await load.moreWrites()
    const gaps = [load.writeGap.take(), load.readGap.take()]
    process.stdout.write(`  moved to ${to.join(', ')}: write pause ${gaps[0]} ms, longest read gap ${gaps[1]} ms\n`)
    await cluster.whole(to)
  }
  await load.finish()
})

test('replicaVerbs_tryAndUndo', async () => {
  const json = async (...args: string[]): Promise<Record<string, unknown>> => {
    const { code, out, err } = await runCommand([...args, '--config', cluster.addresses.join(','), '-o', 'json'])
    expect({ code, err }, args.join(' ')).toEqual({ code: 0, err: '' })
    return JSON.parse(out) as Record<string, unknown>
  }
  const { members, epoch } = (await cluster.view()).state
  const [spare] = cluster.replicas.map(({ id }) => id).filter((id) => !members.includes(id))
  const more = [...members, spare!]
  const tried = await json('replica', 'add', spare!, '--dry-run')
  expect(tried).toMatchObject({ dryRun: true, before: members, after: more, problem: null })
  expect((await cluster.view()).state.epoch).toBe(epoch)

  const added = await json('replica', 'add', spare!)
  expect(added).toMatchObject({ members: more, before: members })
  await cluster.whole(more)
  const [command, ...undo] = String(added['undo']).split(' ')
  expect(command).toBe('coppice')
  await json(...undo)
  await cluster.whole(members)

  const [first, second, last] = members
  await json('replica', 'replace', last!, spare!)
  await cluster.whole([first!, second!, spare!])
  await json('replica', 'remove', second!)
  await cluster.whole([first!, spare!])

  const { state } = await cluster.view()
  const line = state.history.find((each) => each.epoch === state.epoch)!
  expect(line.catchUp.map(({ how }) => how)).toEqual(['none', 'none'])

  await cluster.byId(last!).kill()
  const refused = await runCommand(['replica', 'add', last!, '--config', cluster.addresses.join(',')])
  expect(refused.code).toBe(4)
  expect(refused.err).toContain(`${last} does not answer`)
})
