// Entries that are in the log and not yet in the state. What disks and other members wait for is an entry's bytes; its effect is needed
// only by who looks at the state. So an entry is applied when its batch has left, or when somebody looks: nobody can tell the difference.
import type { ClerkId, RecordHeader } from '@coppice/protocol'
import type { Applier } from './apply.js'

/** Due records of a backup hold entries of any clerk. */
const ANY_CLERK = -1

interface Due {
  readonly clerkId: ClerkId
  readonly apply: (applier: Applier) => void
}

export class DueEntries {
  readonly #applier: Applier
  #list: Due[] = []
  #runs = 0

  constructor(applier: Applier) {
    this.#applier = applier
  }

  get any(): boolean {
    return this.#list.length > 0
  }

  /** A run of this clerk, which follows everything that is due. */
  run(clerkId: ClerkId, apply: (applier: Applier) => void): void {
    this.#list.push({ clerkId, apply })
    this.#runs++
  }

  /** A whole record, whose header was checked. */
  record(header: RecordHeader, bytes: Uint8Array): void {
    this.#list.push({ clerkId: ANY_CLERK, apply: (applier) => applier.record(header, bytes) })
  }

  /** Applies all that is due, in the order of the log. */
  settle(): void {
    if (this.#list.length === 0) return
    const list = this.#list
    this.#list = []
    this.#runs = 0
    for (const { apply } of list) apply(this.#applier)
  }

  /** Applies all that is due, if runs are: those make replies. */
  settleRuns(): void {
    if (this.#runs > 0) this.settle()
  }

  /** Applies all that is due, if something of this clerk is. */
  settleFor(clerkId: ClerkId): void {
    for (const due of this.#list) if (due.clerkId === clerkId || due.clerkId === ANY_CLERK) return this.settle()
  }
}
