// A hundred planned hand-overs in a row under load: nobody notices. No call fails, every step is done exactly once, and no hand-over
// waits for a lease to expire.
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Cluster } from './support/cluster.js'
import { Load } from './support/load.js'

const HANDOVERS = 100

let cluster: Cluster

beforeAll(async () => {
  cluster = await Cluster.start({ replicas: 3 })
})
afterAll(() => cluster?.stop())

test('handover_hundredTimesUnderLoad_noCallFails_nobodyNotices', async () => {
  const load = new Load(await cluster.connect(), 'handed', 64)
  await load.moreWrites(2_000)
  const pauses: number[] = []
  const { members } = (await cluster.view()).state
  for (let i = 0; i < HANDOVERS; i++) {
    await load.moreWrites(100)
    load.writeGap.take()
    const to = members[(i + 1) % members.length]!
    const result = await cluster.admin.handover(to, randomBytes(16).toString('hex'))
    expect(result.ok, result.message).toBe(true)
    await load.moreWrites(100)
    pauses.push(load.writeGap.take())
  }
  const sorted = [...pauses].sort((a, b) => a - b)
  const { history } = (await cluster.view()).state
  const own = history.map((h) => Math.round(h.writePauseMs)).sort((a, b) => a - b)
  process.stdout.write(
    `  ${HANDOVERS} hand-overs: write pause median ${sorted[HANDOVERS / 2]} ms, 90 % ${sorted[HANDOVERS * 0.9]} ms, worst ${sorted.at(-1)} ms; by the leader median ${own[own.length >> 1]} ms, worst ${own.at(-1)} ms\n`,
  )
  await load.finish()
  expect(load.unknown).toBe(0)
})
