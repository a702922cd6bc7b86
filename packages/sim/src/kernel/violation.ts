// What ends a run early: a broken invariant, named as in PROTOCOL 8.

export class Violation extends Error {
  override readonly name = 'Violation'
  /** `I1` … `I10`, `core` (an InvariantError or halt inside a core), `disk` (a write against the disk's contract), `history`. */
  readonly invariant: string

  constructor(invariant: string, message: string) {
    super(`${invariant}: ${message}`)
    this.invariant = invariant
  }
}

/** Throws unless `condition`; `what` is only built when it fails. */
export function check(condition: boolean, invariant: string, what: () => string): void {
  if (!condition) throw new Violation(invariant, what())
}
