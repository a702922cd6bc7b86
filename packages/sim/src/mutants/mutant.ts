// A mutant: one rule of the protocol switched off by a textual patch of the built packages, and where to look for the damage it does. What
// catches it proves that the simulator sees that rule. Production code has no switches for this.
import type { Fault } from '../nemesis.js'
import type { Plan } from '../plan.js'

export interface Mutant {
  readonly name: string
  /** The rule that is switched off, as PROTOCOL numbers it. */
  readonly rule: string
  /** File below packages/, as built, unless an edit names another. */
  readonly file: string
  readonly edits: readonly Edit[]
  /** Seeds are tried from 1 up to this many. */
  readonly seeds: number
  /** Faults that provoke it, when the seeds' own choice would take long; anything else of the plan may be directed too. */
  readonly faults?: readonly Fault[]
  readonly plan?: Partial<Plan>
  /** Name of a directed story (stories.ts) instead of random faults. */
  readonly story?: string
}

/** White space in `find` stands for any white space. `find` must occur exactly once in the file, else the mutant has rotted and the run fails. */
export interface Edit {
  readonly file?: string
  readonly find: string
  readonly replace: string
}
