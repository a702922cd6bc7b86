// `coppice verify` under load: the state hash of all members at one index, while they serve.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Cluster } from './support/cluster.js'
import { runCommand } from './support/command.js'
import { Load } from './support/load.js'

let cluster: Cluster

beforeAll(async () => {
  cluster = await Cluster.start({ replicas: 4 })
})
afterAll(() => cluster?.stop())

interface Verified {
  equal: boolean
  members: { id: string; index: number; hash: string }[]
}

async function verify(): Promise<Verified> {
  const { code, out, err } = await runCommand(['verify', '--config', cluster.addresses.join(','), '-o', 'json'])
  expect({ code, err }).toEqual({ code: 0, err: '' })
  return JSON.parse(out) as Verified
}

test('verify_underLoadAndAChangeOfMembers_findsEqualStatesAtOneIndex', async () => {
  const load = new Load(await cluster.connect(), 'verified', 64)
  let before = 0
  for (let round = 0; round < 6; round++) {
    await load.moreWrites()
    // The primary moves while hashes may be taken.
    const { members } = (await cluster.view()).state
    const args = ['handover', members[1]!, '--config', cluster.addresses.join(',')]
    const moved = round % 2 === 1 ? runCommand(args) : undefined
    const { equal, members: hashes } = await verify()
    expect(equal).toBe(true)
    expect(hashes).toHaveLength(3)
    expect(new Set(hashes.map(({ index }) => index)).size).toBe(1)
    expect(hashes[0]!.index).toBeGreaterThan(before)
    before = hashes[0]!.index
    expect((await moved)?.code ?? 0).toBe(0)
  }
  await load.finish()
})
