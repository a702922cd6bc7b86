// What the simulator's invariants and the shell may look at.
import type { Accepted, Ballot, ClusterId, ConfigState, GroupName } from '@coppice/protocol'

/** What the simulator and tests may see of a core. Nothing in production reads it. */
export interface ConfigView {
  readonly isLeader: boolean
  /** Ballot under which this server leads. */
  readonly ballot: Ballot | undefined
  readonly promised: Ballot
  /** Name of the cluster; '' until this server knows it. */
  readonly clusterId: ClusterId
  /** Groups of which a chosen value is known. */
  readonly groups: readonly GroupName[]
  /** Newest value known to be chosen. */
  chosen(group: GroupName): ConfigState | undefined
  accepted(group: GroupName): Accepted | undefined
  /** The running attempt in words. */
  readonly attempt: string | undefined
}
