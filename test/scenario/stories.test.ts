// Every directed story of the simulator, each under a few seeds that differ in delays: no invariant breaks, and the cluster is back at
// three members that answer.
import { describe, expect, test } from 'vitest'
import { nodeBytes, nodeText } from '@coppice/runtime'
import { runSeed, STORIES } from '@coppice/sim'

const ports = { bytes: nodeBytes, text: nodeText }
const SEEDS = [1, 2, 3]

describe.each(STORIES)('$name', ({ plan, play }) => {
  test.each(SEEDS)('holds_every_invariant_under_seed_%i', async (seed) => {
    const result = await runSeed(seed, { ports, plan, story: play })
    const tail = result.transcript.slice(-60).join('\n')
    expect(result.violation, tail).toBeUndefined()
    expect(result.epochs).toBeGreaterThan(0)
  })
})
