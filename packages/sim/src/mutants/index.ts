// All mutants of PROTOCOL 8.
import { EPOCH_MUTANTS } from './epochs.js'
import { EXACTLY_ONCE_MUTANTS } from './exactly-once.js'
import type { Mutant } from './mutant.js'
import { REPLICATION_MUTANTS } from './replication.js'

export const MUTANTS: readonly Mutant[] = [...REPLICATION_MUTANTS, ...EPOCH_MUTANTS, ...EXACTLY_ONCE_MUTANTS]
