// The table of deaths: whoever falls, at whichever arrow of whichever change, the group goes on by itself and no invariant breaks. The whole
// table is told by `node scripts/deaths.mjs`; here every victim falls at every arrow once, at a moment and in a way that differ from
// cell to cell, and every arrow is lost and comes late once.
import { describe, expect, test } from 'vitest'
import { nodeBytes, nodeText } from '@coppice/runtime'
import { DEATHS, DISTURBANCES, runSeed } from '@coppice/sim'
import type { Death, Story } from '@coppice/sim'

const ports = { bytes: nodeBytes, text: nodeText }

async function holds({ plan, play }: Story, seed: number): Promise<void> {
  const result = await runSeed(seed, { ports, plan, story: play })
  expect(result.violation, result.transcript.slice(-60).join('\n')).toBeUndefined()
}

/** One death of each cell. Moments and falls go round, so that each of them meets each arrow. */
function sample(): Death[] {
  const cells = new Map<string, Death[]>()
  for (const death of DEATHS) {
    const cell = `${death.kind} ${death.victim} ${death.arrow}`
    cells.set(cell, [...(cells.get(cell) ?? []), death])
  }
  return [...cells.values()].map((deaths, i) => deaths[(i * 5) % deaths.length]!)
}

describe('deaths', () => {
  test.each(sample())('$name', (death) => holds(death, 1))
})

describe('disturbances', () => {
  test.each(DISTURBANCES)('$name', (story) => holds(story, 1))
})
