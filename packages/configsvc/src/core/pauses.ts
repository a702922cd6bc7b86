// What a change of epoch costs the users of a group, by the leader's clock: for how long nobody could write, and for which part of that no
// member held a lease. Known only once the new primary admits, so it is added to the epoch's line in the register then.
import type { ConfigState, Epoch, Millis, NodeId } from '@coppice/protocol'

export interface MeasuredPauses {
  readonly epoch: Epoch
  readonly writePauseMs: Millis
  readonly readPauseMs: Millis
}

interface Open {
  readonly epoch: Epoch
  readonly leaseReads: boolean
  /** The last member of the epoch before gave up its lease; undefined: there was none. */
  readonly readsStoppedAt: Millis | undefined
  readsResumedAt: Millis | undefined
}

export class Pauses {
  /** When a member of the chosen epoch was sealed first; attempts that are given up do not undo that. */
  #sealedAt: Millis | undefined
  /** Since when the chosen epoch could not commit for another reason, while that lasts. */
  #troubleAt: Millis | undefined
  /** The same, of an epoch that was replaced for it. */
  #stoppedByTrouble: Millis | undefined
  /** When each member of the chosen epoch gave up its lease for good: relinquished, or entered a later epoch. */
  readonly #releasedAt = new Map<NodeId, Millis>()
  /** The epoch that was activated last, while its primary has not said that it leads. */
  #open: Open | undefined

  /** The members of the chosen epoch are told to seal, or the primary to admit nothing: it commits nothing from `at` on. */
  writesStopped(at: Millis): void {
    this.#sealedAt ??= at
  }

  /** The chosen epoch needs a failover and has committed nothing since `at`; undefined: it needs none. */
  trouble(at: Millis | undefined): void {
    this.#troubleAt = at === undefined ? undefined : Math.min(this.#troubleAt ?? Infinity, at)
  }

  /** A member has no lease of the chosen epoch any more and gets none. */
  released(at: Millis, id: NodeId): void {
    if (!this.#releasedAt.has(id)) this.#releasedAt.set(id, at)
  }

  /** An attempt ended with its epoch chosen: what is wrong from now on is wrong with this one. */
  activated({ epoch, params }: ConfigState): void {
    if (this.#troubleAt !== undefined)
      this.#stoppedByTrouble = Math.min(this.#stoppedByTrouble ?? Infinity, this.#troubleAt)
    this.#troubleAt = undefined
    const released = this.#releasedAt.size === 0 ? undefined : Math.max(...this.#releasedAt.values())
    const before = this.#open
    // An epoch that granted nothing ended no pause of reads.
    const readsStoppedAt = before?.readsResumedAt === undefined ? (before?.readsStoppedAt ?? released) : released
    this.#releasedAt.clear()
    this.#open = { epoch, leaseReads: params.leaseReads, readsStoppedAt, readsResumedAt: undefined }
  }

  /** A lease of `epoch` was granted. */
  granted(at: Millis, epoch: Epoch): void {
    if (this.#open?.epoch === epoch) this.#open.readsResumedAt ??= at
  }

  /** The primary of `epoch` admits operations. Answers what that ended, once. */
  leads(at: Millis, epoch: Epoch): MeasuredPauses | undefined {
    const open = this.#open
    if (open === undefined || open.epoch !== epoch) return undefined
    // Without a lease a read asks all members, or is an operation: it waits as long as those do.
    if (open.leaseReads && open.readsResumedAt === undefined) return undefined
    const stoppedAt = Math.min(this.#sealedAt ?? at, this.#stoppedByTrouble ?? at)
    const writePauseMs = at - stoppedAt
    const resumedAt = open.readsResumedAt ?? at
    const readPauseMs = open.leaseReads ? Math.max(0, resumedAt - (open.readsStoppedAt ?? resumedAt)) : writePauseMs
    this.#open = undefined
    this.#sealedAt = undefined
    this.#stoppedByTrouble = undefined
    return { epoch, writePauseMs, readPauseMs }
  }
}
