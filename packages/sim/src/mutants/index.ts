// All mutants of PROTOCOL 8.
import type { Mutant } from './mutant.js'

export const MUTANTS: readonly Mutant[] = []
