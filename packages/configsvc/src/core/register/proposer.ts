// The proposer of one group's register while its server leads (PROTOCOL 1): recommit first, then one proposal at a time, repeated
// unchanged until it is chosen.
import { assert } from '@coppice/protocol'
import type { Ballot, ConfigState, ConfigToConfig, GroupName, NodeId } from '@coppice/protocol'

/** Makes the next value out of the newest chosen one (the version is set by the proposer); undefined: nothing to propose. */
export type Mutate = (chosen: ConfigState) => ConfigState | undefined
/** Called with the chosen value, or with undefined when `mutate` proposed nothing. */
export type Done = (chosen: ConfigState | undefined) => void

export interface ProposerHost {
  readonly voterIds: readonly NodeId[]
  readonly majority: number
  send(to: NodeId, message: ConfigToConfig): void
  /** A value is chosen; called before whoever proposed it hears of it. */
  onChosen(value: ConfigState): void
}

export class Proposer {
  readonly group: GroupName
  /** Newest value chosen in this ballot; undefined until the recommit is chosen (P3). */
  chosen: ConfigState | undefined
  private readonly ballot: Ballot
  private readonly host: ProposerHost
  /** P1: the one proposal in flight. Its value never changes. */
  private inFlight: { readonly value: ConfigState; readonly done: Done; readonly acks: Set<NodeId> } | undefined
  private readonly queue: { readonly mutate: Mutate; readonly done: Done }[] = []

  /** `first`: the adopted value unchanged (P3), or the genesis of a group that never was. */
  constructor(ballot: Ballot, first: ConfigState, host: ProposerHost) {
    this.group = first.group
    this.ballot = ballot
    this.host = host
    this.propose(first, () => {})
  }

  /** Proposes what `mutate` makes of the newest chosen value, after everything queued before it. */
  update(mutate: Mutate, done: Done): void {
    this.queue.push({ mutate, done })
    this.pump()
  }

  /** A voter accepted `version`. */
  onAccepted(voter: NodeId, version: number): void {
    const p = this.inFlight
    if (p === undefined || p.value.version !== version) return
    p.acks.add(voter)
    if (p.acks.size < this.host.majority) return // P1: a majority of successes, not of replies
    assert(this.chosen === undefined || this.chosen.version + 1 === version, 'versions of a register grow by one')
    this.chosen = p.value
    this.inFlight = undefined
    this.host.onChosen(p.value)
    p.done(p.value)
    this.pump()
  }

  /** P1: in doubt the same proposal again, to those that did not accept it. */
  repeat(): void {
    const p = this.inFlight
    if (p === undefined) return
    for (const id of this.host.voterIds) if (!p.acks.has(id)) this.say(id, p.value)
  }

  /** A voter does not hold the chosen value. */
  onMissing(voter: NodeId): void {
    const value = this.inFlight?.value ?? this.chosen
    if (value !== undefined) this.say(voter, value)
  }

  private pump(): void {
    while (this.inFlight === undefined && this.chosen !== undefined && this.queue.length > 0) {
      const { mutate, done } = this.queue.shift()!
      const next = mutate(this.chosen)
      if (next === undefined) done(undefined)
      else this.propose({ ...next, version: this.chosen.version + 1 }, done)
    }
  }

  private propose(value: ConfigState, done: Done): void {
    assert(this.inFlight === undefined, 'one proposal at a time in a group (P1)')
    this.inFlight = { value, done, acks: new Set() }
    for (const id of this.host.voterIds) this.say(id, value)
  }

  private say(to: NodeId, value: ConfigState): void {
    this.host.send(to, { kind: 'propose', ballot: this.ballot, version: value.version, value })
  }
}
