// Confirm rounds (PROTOCOL P4): proof that no higher ballot was elected before a moment, without a disk write. Shared by all who wait;
// they are also the heartbeat, and a leader without a confirmed round steps down (P5).
import type { Millis, NodeId } from '@coppice/protocol'

export class ConfirmRounds {
  /** Newest round begun and newest that a majority acknowledged. */
  begun = 0
  confirmed = 0
  /** When the newest confirmed round began: until then, at least, nobody else was elected. */
  confirmedSince: Millis
  private readonly majority: number
  private readonly begunAtByRound = new Map<number, Millis>()
  private readonly ackedByVoter = new Map<NodeId, number>()
  private waiting: { readonly round: number; readonly run: () => void }[] = []

  constructor(now: Millis, majority: number) {
    this.confirmedSince = now
    this.majority = majority
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

  /** A voter acknowledged a round. Answers true when somebody waits for a round that has not begun yet. */
  onConfirmed(voter: NodeId, round: number): boolean {
    if (round > this.begun || round <= (this.ackedByVoter.get(voter) ?? 0)) return false
    this.ackedByVoter.set(voter, round)
    // An acknowledgement of round k came after every round below k began, so it counts for those too.
    const acked = [...this.ackedByVoter.values()].sort((a, b) => b - a)
    const confirmed = acked[this.majority - 1] ?? 0 // P4: a majority
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
