// Runs seeds of the simulator inside vitest and says what they exercised. Two test files share the seeds, so that both cores work.
import { expect } from 'vitest'
import { nodeBytes, nodeText } from '@coppice/runtime'
import { EXPECTED_COVERAGE, runSeed } from '@coppice/sim'
import type { CoverageName } from '@coppice/sim'

/** Runs `count` seeds from `first` on; every one must be without violation, and together they must not be blind. */
export async function runSeeds(first: number, count: number): Promise<void> {
  const covered = new Set<CoverageName>()
  for (let seed = first; seed < first + count; seed++) {
    const result = await runSeed(seed, { ports: { bytes: nodeBytes, text: nodeText } })
    for (const name of EXPECTED_COVERAGE) if (result.coverage[name] > 0) covered.add(name)
    if (result.ok) continue
    const tail = result.transcript.slice(-60).join('\n')
    expect.fail(`seed ${seed}: ${result.violation!.message}\n${tail}\nreplay: node scripts/sim.mjs --seed ${seed}`)
  }
  const blind = EXPECTED_COVERAGE.filter((name) => !covered.has(name))
  expect(blind, 'what the seeds never exercised').toEqual([])
}
