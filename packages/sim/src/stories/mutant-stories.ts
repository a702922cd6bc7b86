// The directed stories that catch mutants: each holds every invariant on the real code and breaks one when its rule is switched off.
import { CACHE_STORIES } from './mutant-caches.js'
import { DRAIN_STORIES } from './mutant-drains.js'
import { CONFIG_SERVER_STORIES } from './mutant-config-servers.js'
import { ENDING_STORIES } from './mutant-endings.js'
import { EPOCH_STORIES } from './mutant-epochs.js'
import { LEARN_STORIES } from './mutant-learners.js'
import { LEASE_STORIES } from './mutant-leases.js'
import { LOCK_STORIES } from './mutant-locks.js'
import { READ_STORIES } from './mutant-reads.js'
import { REPLICATION_STORIES } from './mutant-replication.js'
import { TXN_STORIES } from './mutant-txns.js'
import { VERIFY_STORIES } from './mutant-verify.js'
import { WATCH_STORIES } from './mutant-watches.js'
import type { Story } from './stories.js'

/** Sequences that some mutants need to be caught. */
export const MUTANT_STORIES: readonly Story[] = [
  ...REPLICATION_STORIES,
  ...READ_STORIES,
  ...LEASE_STORIES,
  ...EPOCH_STORIES,
  ...DRAIN_STORIES,
  ...CONFIG_SERVER_STORIES,
  ...LEARN_STORIES,
  ...TXN_STORIES,
  ...VERIFY_STORIES,
  ...CACHE_STORIES,
  ...WATCH_STORIES,
  ...LOCK_STORIES,
  ...ENDING_STORIES,
]
