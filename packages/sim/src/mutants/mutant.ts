// A mutant: one rule of the protocol switched off by a textual patch of the built packages, and the directed story in which that does
// damage. What catches it proves that the simulator sees the rule. Production code has no switches for this.

/** A rule that is switched off. */
export interface Mutant {
  readonly name: string
  /** The rule that is switched off, as PROTOCOL numbers it. */
  readonly rule: string
  readonly edits: readonly Edit[]
  /** Name of a directed story (stories/mutant-*.ts); it passes on the real code. */
  readonly story: string
  /** Seeds of the story, from 1 up to this many: they differ in delays. One is enough to catch it. */
  readonly seeds: number
}

/** One replacement in the built code; its text must be there. */
export interface Edit {
  /** File below packages/, as built. */
  readonly file: string
  /** Must occur exactly once in the file, else the mutant has rotted and the run fails. */
  readonly find: string
  readonly replace: string
}
