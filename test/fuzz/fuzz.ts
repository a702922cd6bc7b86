// Runs seeds of the simulator inside vitest and says what they exercised. Two test files share the seeds, so that both cores work.
import { describe, expect, test } from 'vitest'
import { nodeBytes, nodeText } from '@coppice/runtime'
import { EXPECTED_COVERAGE, runSeed } from '@coppice/sim'
import type { CoverageName } from '@coppice/sim'

const PART = 100
const ports = { bytes: nodeBytes, text: nodeText }

/** Tests for `count` seeds from `first` on: none may break an invariant, and together they must not be blind. */
export function fuzz(first: number, count: number): void {
  const covered = new Set<CoverageName>()
  const parts = Array.from({ length: count / PART }, (_, i) => first + i * PART)
  describe('simulator', () => {
    test.each(parts)('seeds_from_%i_hold_every_invariant', async (from) => {
      for (let seed = from; seed < from + PART; seed++) await runOne(seed, covered)
    })
    test('seeds_together_exercise_everything', () => {
      const blind = EXPECTED_COVERAGE.filter((name) => !covered.has(name))
      expect(blind, 'what the seeds never exercised').toEqual([])
    })
  })
}

async function runOne(seed: number, covered: Set<CoverageName>): Promise<void> {
  const result = await runSeed(seed, { ports })
  for (const name of EXPECTED_COVERAGE) if (result.coverage[name] > 0) covered.add(name)
  if (result.ok) return
  const tail = result.transcript.slice(-60).join('\n')
  expect.fail(`seed ${seed}: ${result.violation!.message}\n${tail}\nreplay: node scripts/sim.mjs --seed ${seed}`)
}
