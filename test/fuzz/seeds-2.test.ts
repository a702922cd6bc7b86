import { test } from 'vitest'
import { runSeeds } from './fuzz.js'

test('seeds_1001_to_2000_hold_every_invariant', async () => {
  await runSeeds(1001, 1_000)
})
