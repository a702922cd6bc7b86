// The failure detector of one group (PROTOCOL 2): silence for T_fail, and what members tell about stuck disks and missing acks.
import type { ConfigState, Epoch, Index, Millis, NodeId, Report } from '@coppice/protocol'

interface Known {
  firstReportAt: Millis
  heardAt: Millis
  report: Report | undefined
  reportedAt: Millis
  /** A SEAL showed that it lacks what it or another member had reported in this epoch. */
  lostData: boolean
  /** Since when it reports an epoch below the chosen one without a break; undefined: it does not. */
  behindSince: Millis | undefined
  /** Since when it reports a durable index below `durableIndex` without a break, though nobody may have cut its log. */
  shrunkSince: Millis | undefined
  /** Highest durable index it reported in `durableEpoch`. */
  durableEpoch: Epoch
  durableIndex: Index
}

export class Detector {
  private readonly failMs: number
  private readonly knownById = new Map<NodeId, Known>()
  /** Where members of an epoch were told that they may cut their logs. */
  private readonly cuts = new Map<NodeId, { readonly epoch: Epoch; readonly at: Index }>()
  /** Silence is counted from here at the earliest: this leader's election, or the end of its own last stall. */
  private countFrom: Millis
  /** Highest commit index any member reported in `commitEpoch`. */
  private commitEpoch: Epoch = 0
  private commitIndex: Index = 0

  constructor(now: Millis, failMs: number) {
    this.countFrom = now
    this.failMs = failMs
  }

  /** This process stood still: others may have spoken meanwhile, so everybody gets a full T_fail again. */
  countAnew(now: Millis): void {
    this.countFrom = now
  }

  /** Any message of a server whose store is the registered one. */
  onHeard(now: Millis, id: NodeId): void {
    this.known(id).heardAt = now
  }

  onReport(now: Millis, report: Report, chosen: ConfigState): void {
    const k = this.known(report.server.id)
    k.heardAt = now
    if (k.report === undefined) k.firstReportAt = now
    k.report = report
    k.reportedAt = now
    // A member that reports an older epoch forgot it, unless the report is older than the activation: only if it goes on.
    const behind = report.epoch < chosen.epoch && chosen.members.includes(report.server.id)
    k.behindSince = behind ? (k.behindSince ?? now) : undefined
    if (report.cut !== undefined) this.mayCut(report.cut.epoch, report.server.id, report.cut.at)
    if (report.epoch !== chosen.epoch) return
    if (k.durableEpoch !== report.epoch) {
      k.durableEpoch = report.epoch
      k.durableIndex = 0
      k.shrunkSince = undefined
    }
    // R4: what it acked is gone, unless the report is an older one that came late: only if it goes on. A sealed log may be cut by ENTER.
    const shrunk = report.durableIndex < k.durableIndex && report.sealedFor <= report.epoch
    k.shrunkSince = shrunk ? (k.shrunkSince ?? now) : undefined
    k.durableIndex = Math.max(k.durableIndex, report.durableIndex)
    if (this.commitEpoch !== report.epoch) {
      this.commitEpoch = report.epoch
      this.commitIndex = 0
    }
    this.commitIndex = Math.max(this.commitIndex, report.commitIndex)
  }

  /** Forgets what another store said under this id. */
  forget(id: NodeId): void {
    this.knownById.delete(id)
  }

  report(id: NodeId): Report | undefined {
    return this.knownById.get(id)?.report
  }

  /** When `id` reported for the first time in this term; Infinity: it has not. */
  firstReportAt(id: NodeId): Millis {
    return this.knownById.get(id)?.firstReportAt ?? Infinity
  }

  /** Heard in this term and not silent: may become a member. */
  alive(now: Millis, id: NodeId): boolean {
    return this.knownById.has(id) && !this.silent(now, id)
  }

  heard(id: NodeId): boolean {
    return this.knownById.has(id)
  }

  /** T_fail without a word: known dead. */
  silent(now: Millis, id: NodeId): boolean {
    return now >= this.silentAt(id)
  }

  /** When `id` becomes known dead if it says nothing more. */
  silentAt(id: NodeId): Millis {
    return Math.max(this.countFrom, this.knownById.get(id)?.heardAt ?? -Infinity) + this.failMs
  }

  /** A report that is recent enough to say how things are. */
  freshReport(now: Millis, id: NodeId): Report | undefined {
    const k = this.knownById.get(id)
    return k !== undefined && now - k.reportedAt < this.failMs ? k.report : undefined
  }

  /** R4: it lacks what it had, so it is no member until it joined anew. */
  markLost(id: NodeId): void {
    this.known(id).lostData = true
  }

  /** It entered a new epoch with all that belongs to it. */
  markWhole(id: NodeId): void {
    const k = this.known(id)
    k.lostData = false
    k.behindSince = undefined
    k.shrunkSince = undefined
  }

  /** It lost data, or goes on reporting less than it had, or an older epoch than the one it is a member of. */
  lostData(now: Millis, id: NodeId): boolean {
    const k = this.knownById.get(id)
    if (k === undefined) return false
    const since = Math.min(k.behindSince ?? Infinity, k.shrunkSince ?? Infinity)
    return k.lostData || now - since >= this.failMs
  }

  /**
   * An ENTER that begins at `start` was sent to a member of `epoch`, or the member says that one made it cut its log there: it lacks
   * nothing by that, for a sealed member of `epoch` has nothing above and never will.
   */
  mayCut(epoch: Epoch, id: NodeId, start: Index): void {
    const before = this.cuts.get(id)
    // What comes late, of an epoch that is over, says nothing of this one.
    if (before !== undefined && before.epoch > epoch) return
    this.cuts.set(id, { epoch, at: before?.epoch === epoch ? Math.min(before.at, start) : start })
  }

  /** Below this index in `epoch` a source has lost data: reported as committed by anybody, or as durable by `id` itself. */
  leastNext(epoch: Epoch, id: NodeId): Index {
    const k = this.knownById.get(id)
    const reported = k !== undefined && k.durableEpoch === epoch ? k.durableIndex : 0
    const cut = this.cuts.get(id)
    const durable = cut?.epoch === epoch ? Math.min(reported, cut.at) : reported
    return Math.max(durable, this.committed(epoch))
  }

  /** Highest commit index of `epoch` that anybody reported. */
  committed(epoch: Epoch): Index {
    return this.commitEpoch === epoch ? this.commitIndex : 0
  }

  private known(id: NodeId): Known {
    let k = this.knownById.get(id)
    if (k === undefined) {
      k = {
        firstReportAt: Infinity,
        heardAt: -Infinity,
        report: undefined,
        reportedAt: -Infinity,
        lostData: false,
        behindSince: undefined,
        shrunkSince: undefined,
        durableEpoch: -1,
        durableIndex: 0,
      }
      this.knownById.set(id, k)
    }
    return k
  }
}
