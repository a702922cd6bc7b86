// What is read out of a long run: its dips, and the servers' words about standing still.
import { expect, test } from 'vitest'
import { steadinessOf } from '../../../bench/src/steady/dips.js'
import { stallsIn } from '../../../bench/src/steady/server-logs.js'

test('steadinessOf_worstSecondAndLongestTimeBelowHalf', () => {
  expect(steadinessOf([100, 40, 30, 100, 20, 110, 100])).toEqual({
    medianPerSecond: 100,
    minPerSecond: 20,
    maxPerSecond: 110,
    worstSecond: 4,
    largestDip: 0.8,
    longestBelowHalf: 2,
  })
})

test('stallsIn_onlyWhatWasWrittenSince', () => {
  const line = (time: string, fields: object): string => JSON.stringify({ time, ...fields })
  const at = (second: number): number => Date.parse('2026-01-01T00:00:00.000Z') + second * 1_000
  const log = [
    'r1 listens on 127.0.0.1:1',
    line('2026-01-01T00:00:00.000Z', { event: 'loopStalled', sleptMs: 900 }),
    line('2026-01-01T00:01:00.000Z', { event: 'loopStalled', sleptMs: 30 }),
    line('2026-01-01T00:01:01.000Z', { event: 'snapshotBegun' }),
    line('2026-01-01T00:01:02.000Z', {
      event: 'snapshotCommitted',
      bytes: 5,
      longestStallMs: 7.5,
      longestStallCpuMs: 3,
    }),
    line('2026-01-01T00:01:03.000Z', { event: 'snapshotCommitted', bytes: 4, longestStallMs: 2, longestStallCpuMs: 2 }),
    '{"time":"2026-01-01T00:0',
  ].join('\n')
  expect(stallsIn('r1', log, at(30))).toEqual({
    id: 'r1',
    snapshots: [
      { from: at(61), to: at(62) },
      { from: at(61), to: at(63) },
    ],
    snapshotBytes: 5,
    duringSnapshotMs: 7.5,
    duringSnapshotCpuMs: 3,
    stalls: 1,
    longestStallMs: 30,
  })
})
