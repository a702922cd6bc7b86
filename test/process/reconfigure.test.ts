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
