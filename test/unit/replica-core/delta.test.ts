// The delta rule against its table of cases (PROTOCOL 5, D1–D7).
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { planDelta } from '@coppice/replica'
import type { DeltaSource, DeltaTarget } from '@coppice/replica'

interface Case {
  id: string
  S: DeltaSource
  T: DeltaTarget
  expect: Record<string, unknown>
}
const vectors = JSON.parse(readFileSync(new URL('../../vectors/delta-vectors.json', import.meta.url), 'utf8')) as {
  plan: Case[]
}

it.each(vectors.plan)('planDelta_$id', ({ S, T, expect: expected }) => {
  expect(planDelta(S, T)).toMatchObject(expected)
})

it('planDelta_lost_commit_raises_an_alarm', () => {
  const S = { lineage: [[1, 0] as const, [2, 5] as const], next: 9, base: 0 }
  const T = { lineage: [[1, 0] as const], next: 8, base: 0, commit: 7 }
  expect(planDelta(S, T)).toMatchObject({ action: 'refuse', alarm: true })
})

it('planDelta_stale_target_may_hold_discarded_entries_below_the_commit_of_the_source', () => {
  const S = { lineage: [[1, 0] as const, [2, 5] as const], next: 90, base: 0 }
  const T = { lineage: [[1, 0] as const], next: 8, base: 0, commit: 4 }
  expect(planDelta(S, T)).toEqual({ action: 'truncate+delta', d: 5, ship: [5, 90] })
})
