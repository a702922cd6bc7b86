// All mutants of PROTOCOL 8.
import { CACHE_MUTANTS } from './caches.js'
import { CONFIG_MUTANTS } from './config.js'
import type { Mutant } from './mutant.js'
import { DRAIN_MUTANTS } from './drain.js'
import { ENDING_MUTANTS } from './endings.js'
import { LEARN_MUTANTS } from './learn.js'
import { LOCK_MUTANTS } from './locks.js'
import { REPLICA_MUTANTS } from './replica.js'
import { TXN_MUTANTS } from './txn.js'
import { VERIFY_MUTANTS } from './verify.js'
import { WATCH_MUTANTS } from './watch.js'

/** One rule of the protocol switched off in each. */
export const MUTANTS: readonly Mutant[] = [
  ...REPLICA_MUTANTS,
  ...CONFIG_MUTANTS,
  ...DRAIN_MUTANTS,
  ...LEARN_MUTANTS,
  ...TXN_MUTANTS,
  ...CACHE_MUTANTS,
  ...WATCH_MUTANTS,
  ...LOCK_MUTANTS,
  ...ENDING_MUTANTS,
  ...VERIFY_MUTANTS,
]
