// Entries that are in the log and not yet in the state. What disks and other members wait for is an entry's bytes; its effect is needed
// only by who looks at the state. So an entry is applied when its batch has left, or when somebody looks: nobody can tell the difference.
import type { ClerkId, RecordHeader } from '@coppice/protocol'
import type { Applier } from './apply.js'

type Apply = (applier: Applier) => void

export class DueEntries {
  readonly #applier: Applier
  #list: Apply[] = []
  /** Clerks whose runs are due: a turn may have one of each of many thousands. */
  readonly #clerks = new Set<ClerkId>()
  /** Records that are due hold entries of any clerk. */
  #records = 0

  constructor(applier: Applier) {
    this.#applier = applier
  }

  get any(): boolean {
    return this.#list.length > 0
  }

  /** A run of this clerk, which follows everything that is due. */
  run(clerkId: ClerkId, apply: Apply): void {
    this.#list.push(apply)
    this.#clerks.add(clerkId)
  }

  /** A whole record, whose header was checked. */
  record(header: RecordHeader, bytes: Uint8Array): void {
    this.#list.push((applier) => applier.record(header, bytes))
    this.#records++
  }

  /** Applies all that is due, in the order of the log. */
  settle(): void {
    if (this.#list.length === 0) return
    const list = this.#list
    this.#list = []
    this.#clerks.clear()
    this.#records = 0
    for (const apply of list) apply(this.#applier)
  }

  /** Applies all that is due, if runs are: those make replies. */
  settleRuns(): void {
    if (this.#clerks.size > 0) this.settle()
  }

  /** Applies all that is due, if something of this clerk is. */
  settleFor(clerkId: ClerkId): void {
    if (this.#records > 0 || this.#clerks.has(clerkId)) this.settle()
  }
}
