// The proposer of one group's register while its server leads (PROTOCOL 1): recommit first, then one proposal at a time, repeated
// unchanged until it is chosen.
import { assert } from '@coppice/protocol'
import type { Ballot, ConfigState, ConfigToConfig, GroupName, NodeId, Sender, StoreId } from '@coppice/protocol'
import type { Electorate } from './electorate.js'

/** Makes the next value out of the newest chosen one (the version is set by the proposer); undefined: nothing to propose. */
export type Mutate = (chosen: ConfigState) => ConfigState | undefined
/** Called with the chosen value, or with undefined when `mutate` proposed nothing. */
export type Done = (chosen: ConfigState | undefined) => void

export interface ProposerHost {
  readonly electorate: Electorate
  send(to: NodeId, message: ConfigToConfig): void
  /** A value is about to be proposed: the electorate follows it if it is one of `main`. */
  onProposing(value: ConfigState): void
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
  private inFlight: { readonly value: ConfigState; readonly done: Done } | undefined
  /** Stores that accepted the newest proposal, in flight or chosen. */
  private holders = new Set<StoreId>()
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

  /** P6: the newest proposal is chosen, and a majority of the present voters holds it. */
  get settled(): boolean {
    return this.inFlight === undefined && this.host.electorate.isMajority(this.holders)
  }

  heldBy(store: StoreId): boolean {
    return this.holders.has(store)
  }

  /** A voter, or the learner, accepted `version`. */
  onAccepted(from: Sender, version: number): void {
    if (version !== this.newest?.version) return
    this.holders.add(from.storeId)
    this.maybeChosen()
  }

  /** P1: in doubt the same proposal again, to those that did not accept it. `chosen`: also one that is chosen. */
  repeat(chosen: boolean): void {
    // What became a majority because the voters changed is chosen, too.
    this.maybeChosen()
    if (this.inFlight === undefined && !(chosen && !this.settled)) return
    const { electorate } = this.host
    const holding = electorate.servers.filter((s) => this.holders.has(s.storeId)).map((s) => s.id)
    for (const id of electorate.audience) if (!holding.includes(id)) this.say(id, this.newest!)
  }

  /** A server does not hold the chosen value. */
  onMissing(to: NodeId): void {
    if (this.newest !== undefined) this.say(to, this.newest)
  }

  private get newest(): ConfigState | undefined {
    return this.inFlight?.value ?? this.chosen
  }

  private maybeChosen(): void {
    const p = this.inFlight
    if (p === undefined || !this.host.electorate.isMajority(this.holders)) return // P1: a majority of successes, not of replies
    assert(
      this.chosen === undefined || this.chosen.version + 1 === p.value.version,
      'versions of a register grow by one',
    )
    this.chosen = p.value
    this.inFlight = undefined
    this.host.onChosen(p.value)
    p.done(p.value)
    this.pump()
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
    this.inFlight = { value, done }
    this.holders = new Set()
    this.host.onProposing(value)
    // One message to all: it is encoded once.
    const message = this.proposal(value)
    for (const id of this.host.electorate.audience) this.host.send(id, message)
  }

  private say(to: NodeId, value: ConfigState): void {
    this.host.send(to, this.proposal(value))
  }

  private proposal(value: ConfigState): ConfigToConfig {
    return { kind: 'propose', ballot: this.ballot, version: value.version, value }
  }
}
