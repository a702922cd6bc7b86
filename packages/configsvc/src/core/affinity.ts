// Whether the primary should go where most writes come from: judged over a window in equal parts, in each of which a zone must be far ahead, and
// held back after every such hand-over and after every choice of an operator. Volatile: a new leader knows only the history of epochs, and waits
// as if what it finds there had just happened.
import type { ConfigState, Millis, NodeId, Report } from '@coppice/protocol'
import { AFFINITY_FACTOR, AFFINITY_LEAST_WRITES, AFFINITY_PARTS } from './bounds.js'
import type { Detector } from './detector.js'
import { unwell } from './triggers.js'

type Counts = ReadonlyMap<string, number>

export interface Favoured {
  readonly to: NodeId
  /** Plain words, for the history of epochs. */
  readonly detail: string
}

export class PrimaryAffinity {
  /** Nothing is proposed before. */
  #restUntil: Millis
  /** What the primary of the chosen epoch counted since it leads; undefined: it has told nothing yet. */
  #newest: Counts | undefined
  /** Where the part that is under way began. */
  #from: { readonly at: Millis; readonly counts: Counts } | undefined
  /** Operations by zone in the newest whole parts. */
  #parts: Counts[] = []

  /** This server was elected. */
  constructor(now: Millis, chosen: ConfigState) {
    const { pauseMs, operatorMs } = chosen.params.affinity
    this.#restUntil = now + (chosenByOperator(chosen) ? Math.max(pauseMs, operatorMs) : pauseMs)
  }

  onReport(now: Millis, { server, epoch, leading, writes }: Report, chosen: ConfigState): void {
    if (chosen.params.affinity.mode === 'off') return this.#forget()
    if (writes === undefined || !leading || epoch !== chosen.epoch || server.id !== chosen.members[0]) return
    // A report may be overtaken by a later one; counts only grow.
    const counts = new Map(this.#newest)
    for (const { zone, operations } of writes) counts.set(zone, Math.max(operations, counts.get(zone) ?? 0))
    this.#newest = counts
    this.#from ??= { at: now, counts }
    if (now - this.#from.at < chosen.params.affinity.windowMs / AFFINITY_PARTS) return
    const before = this.#from.counts
    const part = new Map([...counts].map(([zone, total]) => [zone, total - (before.get(zone) ?? 0)]))
    this.#parts = [...this.#parts, part].slice(-AFFINITY_PARTS)
    this.#from = { at: now, counts }
  }

  /** The member that should lead instead; undefined: all is well as it is, or it is too early to say. */
  favoured(now: Millis, chosen: ConfigState, detector: Detector): Favoured | undefined {
    if (chosen.params.affinity.mode === 'off' || now < this.#restUntil || this.#parts.length < AFFINITY_PARTS)
      return undefined
    // Everybody must take part in the change.
    if (!chosen.members.every((id) => near(now, chosen, detector, id))) return undefined
    const zoneById = new Map(chosen.servers.map(({ id, zone }) => [id, zone ?? '']))
    const [primary, ...backups] = chosen.members
    const home = zoneById.get(primary!)!
    const ahead = backups.filter((id) => this.#isFarAhead(zoneById.get(id)!, home))
    if (ahead.length === 0) return undefined
    const writes = (id: NodeId): number => this.#total(zoneById.get(id)!)
    const to = ahead.reduce((best, id) => (writes(id) > writes(best) ? id : best))
    const at = home === '' ? 'where the primary stands' : `in ${home}`
    const detail = `${writes(to)} writes in ${zoneById.get(to)!}, ${this.#total(home)} ${at}: ${to} leads`
    return { to, detail }
  }

  /** A hand-over is tried; whatever comes of it, the next one waits. */
  begun(now: Millis, chosen: ConfigState): void {
    this.#rest(now + chosen.params.affinity.pauseMs)
  }

  /** An epoch was activated: its primary counts from nothing. */
  activated(now: Millis, chosen: ConfigState): void {
    this.#forget()
    if (chosen.history.at(-1)?.cause === 'operator') this.operatorChose(now, chosen)
  }

  /** An operator named the primary. */
  operatorChose(now: Millis, chosen: ConfigState): void {
    this.#rest(now + chosen.params.affinity.operatorMs)
  }

  #forget(): void {
    this.#newest = undefined
    this.#from = undefined
    this.#parts = []
  }

  #rest(until: Millis): void {
    this.#restUntil = Math.max(this.#restUntil, until)
  }

  #isFarAhead(zone: string, home: string): boolean {
    if (zone === '' || zone === home) return false
    const least = (part: Counts): number => Math.max(AFFINITY_LEAST_WRITES, AFFINITY_FACTOR * (part.get(home) ?? 0))
    return this.#parts.every((part) => (part.get(zone) ?? 0) >= least(part))
  }

  #total(zone: string): number {
    return this.#parts.reduce((sum, part) => sum + (part.get(zone) ?? 0), 0)
  }
}

/** An operator named the primary, and it leads since. */
function chosenByOperator({ history, members }: ConfigState): boolean {
  for (let i = history.length - 1; i >= 0 && history[i]!.members[0] === members[0]; i--)
    if (history[i]!.cause === 'operator') return true
  return false
}

/** It is well and serves the chosen epoch; what is committed it has, for that is what committed means. */
function near(now: Millis, chosen: ConfigState, detector: Detector, id: NodeId): boolean {
  const report = detector.freshReport(now, id)
  if (report === undefined || unwell(detector, now, id) !== undefined || report.trouble !== undefined) return false
  return report.epoch === chosen.epoch && report.activated && report.sealedFor <= chosen.epoch
}
