// Confirm rounds (PROTOCOL P4): proof that no higher ballot was elected before a moment, without a disk write. Shared by all who wait;
// they are also the heartbeat, and a leader without a confirmed round steps down (P5).
import type { Millis, Sender, StoreId } from '@coppice/protocol'
import type { Electorate } from './register/electorate.js'

export class ConfirmRounds {
  /** Newest round begun and newest that a majority acknowledged. */
  begun = 0
  confirmed = 0
  /** When the newest confirmed round began: until then, at least, nobody else was elected. */
  confirmedSince: Millis
  private readonly electorate: Electorate
  private readonly begunAtByRound = new Map<number, Millis>()
  private readonly ackedByStore = new Map<StoreId, number>()
  private readonly heardAtByStore = new Map<StoreId, Millis>()
  private waiting: { readonly round: number; readonly run: () => void }[] = []

  constructor(now: Millis, electorate: Electorate) {
    this.confirmedSince = now
    this.electorate = electorate
  }

  /** Begins the next round; the caller sends it to every voter. */
  begin(now: Millis): number {
    this.begun++
    this.begunAtByRound.set(this.begun, now)
    return this.begun
  }

  /** Runs `run` when a round begun after this call is confirmed. True: no round is under way, begin one at once. */
  afterRound(run: () => void): boolean {
    this.waiting.push({ round: this.begun + 1, run }) // P4: a round begun before the request proves nothing about it
    return this.begun === this.confirmed
  }

  /** When a store acknowledged a round for the last time; -Infinity: never. */
  heardAt(store: StoreId): Millis {
    return this.heardAtByStore.get(store) ?? -Infinity
  }

  /** A voter, or the learner, acknowledged a round. Answers true when somebody waits for a round that has not begun yet. */
  onConfirmed(now: Millis, from: Sender, round: number): boolean {
    if (round > this.begun || round <= (this.ackedByStore.get(from.storeId) ?? 0)) return false
    this.ackedByStore.set(from.storeId, round)
    this.heardAtByStore.set(from.storeId, now)
    // An acknowledgement of round k came after every round below k began, so it counts for those too.
    const confirmed = this.electorate.majorityReached(this.ackedByStore) // P4: a majority of those that count now
    if (confirmed <= this.confirmed) return false
    this.confirmed = confirmed
    this.confirmedSince = this.begunAtByRound.get(confirmed)!
    for (const r of this.begunAtByRound.keys()) if (r <= confirmed) this.begunAtByRound.delete(r)
    const ready = this.waiting.filter((w) => w.round <= confirmed)
    this.waiting = this.waiting.filter((w) => w.round > confirmed)
    for (const w of ready) w.run()
    return this.begun === this.confirmed && this.waiting.length > 0
  }
}
