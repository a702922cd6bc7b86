// The table of epochs.
import type { EpochSummary } from '@coppice/protocol'
import { expect, test } from 'vitest'
import { epochsTable } from '../../../packages/cli/src/verbs/epochs.js'

const MiB = 1024 * 1024

function epoch(more: Partial<EpochSummary>): EpochSummary {
  const pauses = { writePauseMs: 0, readPauseMs: 0 }
  return { epoch: 1, members: ['r1'], start: 1, cause: 'operator', detail: '', catchUp: [], ...pauses, ...more }
}

test('epochsTable_saysHowEachCaughtUp_andWhatItCost', () => {
  const catchUp = [
    { id: 'r1', how: 'none', bytes: 0, ms: 0, learnedBytes: 0 },
    { id: 'r2', how: 'delta', bytes: 2_048, ms: 12.4, learnedBytes: 0 },
    { id: 'r4', how: 'full', bytes: 1_024 * MiB + MiB, ms: 14_321, learnedBytes: 1_024 * MiB },
    { id: 'r5', how: 'full', bytes: MiB, ms: 100, learnedBytes: MiB },
  ] as const
  const text = epochsTable([epoch({ catchUp: [...catchUp], writePauseMs: 41.6, readPauseMs: 3.2 })])
  expect(text).toContain(
    'r1 none, r2 delta 2.0 KiB in 12 ms, r4 full 1.0 GiB in 14.3 s, 1.0 GiB ahead, r5 full 1.0 MiB in 100 ms, all ahead',
  )
  expect(text).toMatch(/ 42 ms +3 ms +operator$/m)
})

test('epochsTable_whatIsNotKnown_isNotGuessed', () => {
  expect(epochsTable([epoch({ writePauseMs: null, readPauseMs: null })])).toMatch(/ \? +\? +operator$/m)
})
