import { test } from 'vitest'
import { runSeeds } from './fuzz.js'

test('seeds_1_to_1000_hold_every_invariant', async () => {
  await runSeeds(1, 1_000)
})
