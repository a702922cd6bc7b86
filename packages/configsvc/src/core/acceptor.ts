// The acceptor of the register (PROTOCOL 1): what this server promised and accepted, for all groups under one ballot. It answers with
// the writes that must be durable before the reply may leave; the node holds the reply back until then.
import type { Accepted, Ballot, ConfigState, ConfigToConfig, GroupName } from '@coppice/protocol'
import { compareBallots, sameBallot } from './ballot.js'
import type { RecoveredRegister, RegisterWrite } from './io.js'

/** `reply` leaves only when `writes`, and everything written before them, are durable. */
export interface AcceptorAnswer {
  readonly writes: readonly RegisterWrite[]
  readonly reply: ConfigToConfig
}

const NOTHING: readonly RegisterWrite[] = []

export class Acceptor {
  /** Highest ballot promised. Never goes back. */
  promised: Ballot
  /** Newest value accepted in each group, by (ballot, version). */
  readonly acceptedByGroup = new Map<GroupName, Accepted>()

  constructor(recovered: RecoveredRegister) {
    this.promised = recovered.promised
    for (const a of recovered.accepted) {
      this.acceptedByGroup.set(a.value.group, a)
      // An accepted ballot was promised by accepting it.
      if (compareBallots(a.ballot, this.promised) > 0) this.promised = a.ballot
    }
  }

  /** A candidate asks for the promise of its ballot. `address`: where this server is reached, for the value that forms the cluster. */
  onPrepare(ballot: Ballot, address: string): AcceptorAnswer {
    // A higher ballot was promised: its leader may rely on us, so the lower one gets nothing.
    if (compareBallots(ballot, this.promised) < 0) return this.refuse(ballot)
    const writes = this.promise(ballot)
    const accepted = [...this.acceptedByGroup.values()]
    return { writes, reply: { kind: 'promise', ballot, formed: accepted.length > 0, address, accepted } }
  }

  /** A leader proposes a value. Nothing is answered to a late duplicate of an older version. */
  onPropose(ballot: Ballot, version: number, value: ConfigState): AcceptorAnswer | undefined {
    if (compareBallots(ballot, this.promised) < 0) return this.refuse(ballot)
    const { group } = value
    const reply: ConfigToConfig = { kind: 'accepted', ballot, group, version }
    const held = this.acceptedByGroup.get(group)
    if (held !== undefined && sameBallot(held.ballot, ballot)) {
      // Within one ballot versions only grow: an older one was chosen before the newer one was proposed.
      if (held.version > version) return undefined
      // P1: one value per (ballot, version), so this is the same value again.
      if (held.version === version) return { writes: NOTHING, reply }
    }
    const accepted: Accepted = { ballot, version, value }
    const writes = [...this.promise(ballot), { kind: 'accepted', group, accepted } as const]
    this.acceptedByGroup.set(group, accepted)
    return { writes, reply }
  }

  /** P4: acknowledges a confirm round, only while `promised` is its ballot; learns what is chosen. */
  onConfirm(
    ballot: Ballot,
    round: number,
    chosen: readonly (readonly [GroupName, number])[],
  ): AcceptorAnswer & { readonly learned: readonly ConfigState[] } {
    if (compareBallots(ballot, this.promised) < 0) return { ...this.refuse(ballot), learned: [] } // P4: not while promised is higher
    const writes = this.promise(ballot)
    const learned: ConfigState[] = []
    const missing: GroupName[] = []
    for (const [group, version] of chosen) {
      const held = this.acceptedByGroup.get(group)
      // A value accepted in another ballot may differ from the chosen one of the same version.
      if (held === undefined || !sameBallot(held.ballot, ballot) || held.version < version) missing.push(group)
      else if (held.version === version) learned.push(held.value)
    }
    return { writes, reply: { kind: 'confirmed', ballot, round, missing }, learned }
  }

  private promise(ballot: Ballot): readonly RegisterWrite[] {
    if (compareBallots(ballot, this.promised) <= 0) return NOTHING
    this.promised = ballot
    return [{ kind: 'promised', ballot }]
  }

  private refuse(ballot: Ballot): AcceptorAnswer {
    return { writes: NOTHING, reply: { kind: 'ballotRefused', ballot, promised: this.promised } }
  }
}
