// Rule D1–D7 (PROTOCOL 5): how a sealed source S brings a target T to exactly next_S. Given in test/vectors/delta-vectors.json.
// D2 (T promised, S sealed, checked data only) is the caller's: it plans only for an ENTER it has promised.
import { epochAt } from '@coppice/protocol'
import type { Index, Lineage } from '@coppice/protocol'

/** The sealed member that others take over from. */
export interface DeltaSource {
  readonly cluster?: string
  /** Digest of its state machine. */
  readonly digest?: string
  readonly lineage: Lineage
  readonly next: Index
  /** First index that somebody sealed who agrees with S can ship (D6). */
  readonly base: Index
}
/** The member that is brought to the source's end. */
export interface DeltaTarget {
  readonly cluster?: string
  readonly digest?: string
  readonly lineage: Lineage
  readonly next: Index
  /** Lowest index at which T can be exactly: that of its snapshot (D5). */
  readonly base: Index
  /** What T knows to be committed. */
  readonly commit: Index
}
/** `d`: the end of what both logs have in common. `ship`: indexes [from, to) of the source's log that the target is sent. */
export type DeltaPlan =
  | { readonly action: 'none'; readonly d: Index }
  | { readonly action: 'delta' | 'truncate+delta'; readonly d: Index; readonly ship: readonly [Index, Index] }
  | { readonly action: 'full'; readonly d: Index; readonly why: string }
  /** `alarm`: T holds committed entries that S lacks; never repaired by software (D4). */
  | { readonly action: 'refuse'; readonly why: string; readonly alarm: boolean; readonly d?: Index }

/** How a sealed source brings a target to exactly its own end (D1–D7). */
export function planDelta(source: DeltaSource, target: DeltaTarget): DeltaPlan {
  // D1: another cluster's or machine's log has the same numbers for other operations.
  if (source.cluster !== target.cluster) return refuse('cluster id differs')
  if (source.digest !== target.digest) return refuse('state machine digest differs')
  // D3: one checkpoint per epoch makes (epoch, index) name a prefix; where that was broken nothing can be compared.
  const twice = epochWithTwoStarts(source.lineage, target.lineage)
  if (twice !== undefined)
    return refuse(`epoch ${twice} has two different starts: one-checkpoint-per-epoch rule was broken`)
  const d = agreement(source, target)
  // D4: what T knows committed is missing at S.
  if (d < Math.min(target.commit, target.next)) {
    return { action: 'refuse', why: 'divergence below a committed index: data loss suspected', alarm: true, d }
  }
  if (d === source.next && d === target.next) return { action: 'none', d }
  // D5: T's state can be rebuilt at d only from a snapshot at or below it.
  if (target.next !== d && target.base > d) return { action: 'full', d, why: 'T cannot roll back to d' }
  // D6: nobody has the entries from d on any more.
  if (d < source.next && source.base > d) return { action: 'full', d, why: 'S has compacted past d' }
  if (target.next === 0) return { action: 'full', d, why: 'T holds nothing' }
  return { action: target.next > d ? 'truncate+delta' : 'delta', d, ship: [d, source.next] }
}

function refuse(why: string): DeltaPlan {
  return { action: 'refuse', why, alarm: false }
}

function epochWithTwoStarts(a: Lineage, b: Lineage): number | undefined {
  for (const [epoch, start] of a) for (const [other, its] of b) if (epoch === other && start !== its) return epoch
  return undefined
}

/** D3: the largest d ≤ both ends with d = 0 or the same epoch at d − 1. */
function agreement(source: DeltaSource, target: DeltaTarget): Index {
  let d = Math.min(source.next, target.next)
  while (d > 0) {
    const s = epochAt(source.lineage, d - 1)
    const t = epochAt(target.lineage, d - 1)
    if (s === -1 || t === -1) return 0
    if (s === t) return d
    // Epochs never go down along a log: the whole segment of the greater one is beyond the agreement.
    d = segmentStart(s > t ? source.lineage : target.lineage, d - 1)
  }
  return 0
}

/** Start of the segment that holds `index`. */
export function segmentStart(lineage: Lineage, index: Index): Index {
  for (let i = lineage.length - 1; i >= 0; i--) if (lineage[i]![1] <= index) return lineage[i]![1]
  return 0
}
