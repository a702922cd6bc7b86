// Ballots: the totally ordered attempts of the config servers' Paxos (PROTOCOL 1). A ballot belongs to one candidacy of one server.
import type { Ballot } from '@coppice/protocol'

/** Below every ballot of a candidate. */
export const ZERO_BALLOT: Ballot = { round: 0, node: '' }

/** Negative, zero or positive as `a` is below, equal to or above `b`. */
export function compareBallots(a: Ballot, b: Ballot): number {
  if (a.round !== b.round) return a.round - b.round
  if (a.node === b.node) return 0
  return a.node < b.node ? -1 : 1
}

/** Whether both are the same ballot. */
export function sameBallot(a: Ballot, b: Ballot): boolean {
  return a.round === b.round && a.node === b.node
}
