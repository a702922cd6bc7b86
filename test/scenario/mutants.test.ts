// The canaries: each rule of the protocol switched off in a copy of the built packages must be seen in its directed story, and the same
// stories must hold on the real code. Needs a build (`npm test` makes one).
import { beforeAll, describe, expect, test } from 'vitest'
import { nodeBytes, nodeText } from '@coppice/runtime'
import { MUTANT_STORIES, MUTANTS, runSeed } from '@coppice/sim'

interface Result {
  readonly name: string
  readonly ok: boolean
  readonly by: string
}
interface Script {
  runMutants(options: { fallback: number; real: boolean }): Promise<Result[]>
}

/** All in PROTOCOL 8, by the words used there. */
const DEMANDED = [
  'ack before durable',
  'majority instead of all',
  'no lease check',
  'no commit wait',
  'commit wait off by one',
  'last-committed reads',
  'grant without confirm',
  'no wait after election',
  'activation abandoned',
  'ENTER repeated',
  'ping in an epoch that never ran',
  'seal not durable',
  'primary resumes its epoch',
  'amnesia as source',
  'duplicate before commit',
  'no de-duplication',
  'skipped id reused',
  'start not committed by activation',
  'disk completions reordered',
  'LWM-only delta',
  'two checkpoints per epoch',
  'config servers change before the recommit',
  'empty store votes under its old id',
  'two config servers changed at once',
]

test('mutants_cover_the_list_of_the_protocol', () => {
  const names = MUTANTS.map((m) => m.name)
  expect(DEMANDED.filter((name) => !names.includes(name))).toEqual([])
})

test('mutants_use_every_story', () => {
  const used = new Set(MUTANTS.map((m) => m.story))
  expect([...used].sort()).toEqual(MUTANT_STORIES.map((s) => s.name).sort())
})

describe.each(MUTANT_STORIES)('$name', ({ plan, play }) => {
  test.each([1, 2])('holds_every_invariant_under_seed_%i', async (seed) => {
    const result = await runSeed(seed, { ports: { bytes: nodeBytes, text: nodeText }, plan, story: play })
    expect(result.violation, result.transcript.slice(-60).join('\n')).toBeUndefined()
  })
})

describe('mutant', () => {
  let results: Result[] = []
  beforeAll(async () => {
    const url = new URL('../../scripts/mutants.mjs', import.meta.url).href
    const script = (await import(/* @vite-ignore */ url)) as Script
    results = await script.runMutants({ fallback: 0, real: false })
  }, 600_000)

  test.each(MUTANTS.map((m) => m.name))('%s_is_caught_by_its_story', (name) => {
    const result = results.find((r) => r.name === name)
    expect(result?.ok, result?.by).toBe(true)
  })
})
