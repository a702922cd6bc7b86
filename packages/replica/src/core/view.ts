// What the simulator's invariants may look at (PROTOCOL 8). Nothing in production reads it.
import type { Epoch, Index, Millis, NodeId } from '@coppice/protocol'
import type { ReplicaMeta } from './io.js'

/** What the simulator and tests may see of a core. Nothing in production reads it. */
export interface ReplicaView {
  /** Marks as they will be once every write begun so far is durable. */
  readonly meta: ReplicaMeta
  readonly nextIndex: Index
  readonly durableIndex: Index
  readonly commitIndex: Index
  /** First index its log can ship. */
  readonly base: Index
  /** Whether this incarnation learned the activation of its epoch. */
  readonly activated: boolean
  /** It admits nothing in its epoch, which ends by a planned change. */
  readonly draining: boolean
  /** Primary of an activated, unsealed epoch with its claim durable: it may propose. */
  readonly isPrimary: boolean
  /** Members of its epoch, primary first; empty until the activation is learned. */
  readonly members: readonly NodeId[]
  readonly sealed: boolean
  /** = nextIndex: what is in the log is applied. */
  readonly appliedIndex: Index
  /** Its state was given up for one that is being brought. */
  readonly stateless: boolean
  leaseValid(now: Millis): boolean
  epochAt(index: Index): Epoch
  /** Hash of the machine's state and of the exactly-once table; may be slow. */
  stateHash(): string
  /** Hash of the change log; equal at equal indexes. */
  changesHash(): string
}
