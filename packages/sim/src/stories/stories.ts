// Directed stories: named sequences of faults on an otherwise calm cluster, each with all invariants watched. Tests tell them one by one.
import { CALL_STORIES } from './calls.js'
import { CHANGE_STORIES } from './changes.js'
import { LEASE_STORIES } from './leases.js'
import { MACHINE_STORIES } from './machines.js'
import { PLAN_STORIES } from './plans.js'
import { ROLLING_STORIES } from './rolling.js'
import type { Story } from './tell.js'
import { ZONE_STORIES } from './zones.js'

export type { Story } from './tell.js'
/** Directed sequences of faults that must end well. */
export const STORIES: readonly Story[] = [
  ...MACHINE_STORIES,
  ...CHANGE_STORIES,
  ...PLAN_STORIES,
  ...ROLLING_STORIES,
  ...LEASE_STORIES,
  ...CALL_STORIES,
  ...ZONE_STORIES,
]
