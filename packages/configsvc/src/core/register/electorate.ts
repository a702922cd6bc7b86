// The config servers whose answers count in one leader's ballot, for the registers of all groups (PROTOCOL P6): those of the newest value of
// `main` that this leader proposed. The one place where majorities are counted while a server leads.
import type { ConfigServerEntry, NodeId, Sender, StoreId } from '@coppice/protocol'
import { isVoter, majorityOf } from '../formation.js'
import type { Voters } from '../formation.js'

/** A server that is brought up to date before it is added: it is told everything and counts for nothing. */
export interface Learner {
  readonly id: NodeId
  readonly address: string
  /** Its store, once it answered; answers of another one are another server's. */
  storeId: StoreId | undefined
}

export class Electorate {
  learner: Learner | undefined
  private voters: Voters
  /** Voters of the value before: they are told of the newest value as well, to learn that they left. */
  private before: readonly ConfigServerEntry[] = []

  constructor(servers: readonly ConfigServerEntry[]) {
    this.voters = { formed: true, servers }
  }

  get servers(): readonly ConfigServerEntry[] {
    return this.voters.servers
  }

  /** A value of `main` is about to be proposed: from now on its config servers count. */
  follow(servers: readonly ConfigServerEntry[]): void {
    if (servers.length === this.servers.length && servers.every((s) => this.counts(s))) return
    this.before = this.servers
    this.voters = { formed: true, servers }
    if (this.learner !== undefined && servers.some((s) => s.id === this.learner!.id)) this.learner = undefined
  }

  /** The change is over: those that left are told nothing more. */
  forgetLeft(): void {
    this.before = []
  }

  /** Who is told of proposals and rounds. */
  get audience(): readonly NodeId[] {
    const ids = [...this.servers, ...this.before].map((s) => s.id)
    return [...new Set(this.learner === undefined ? ids : [...ids, this.learner.id])]
  }

  /** Whether a sender's answers count: only the recorded store of a config server does. */
  counts(from: Sender): boolean {
    return isVoter(this.voters, from)
  }

  /** Whether a sender's answers are noted: a voter's, or those of the learner, which count once it is a voter. */
  notes(from: Sender): boolean {
    return this.counts(from) || (this.learner?.id === from.id && this.learner.storeId === from.storeId)
  }

  /** P1, P4: whether these stores are a majority. */
  isMajority(stores: ReadonlySet<StoreId>): boolean {
    return this.servers.filter((s) => stores.has(s.storeId)).length >= majorityOf(this.voters)
  }

  /** The highest number that a majority reached. */
  majorityReached(reachedByStore: ReadonlyMap<StoreId, number>): number {
    const reached = this.servers.map((s) => reachedByStore.get(s.storeId) ?? 0).sort((a, b) => b - a)
    return reached[majorityOf(this.voters) - 1] ?? 0
  }
}
