// Reports to the config service (PROTOCOL 2, 3 L1): registration, heartbeat and lease request in one, to the leader when it is
// known, else to all.
import { SLOWEST_BYTES_PER_MS } from '@coppice/protocol'
import type { ConfigToReplica, Epoch, Millis, NodeId, Report } from '@coppice/protocol'
import type { Lease } from './lease.js'
import type { Replication } from './replication.js'
import type { Shared } from './shared.js'
import type { WritesByZone } from './writes-by-zone.js'

type Answer = Extract<ConfigToReplica, { kind: 'answer' }>

/** Reports without an answer after which the leader is looked for again. */
const MAX_UNANSWERED = 2
/** One that is about to end reports so much more often: it does not wait for long. */
const LEAVING_PART = 1 / 4
/** The time between two reports is renewMs, more or less this part of it. */
const JITTER = 0.2
/** Least time between two reports, ms. */
const HINT_PAUSE_MS = 20

export class Reporter {
  readonly #s: Shared
  readonly #lease: Lease
  readonly #replication: Replication
  readonly #writes: WritesByZone
  #leader: NodeId | '' = ''
  #unanswered = 0
  #at: Millis
  #sentAt: Millis = -Infinity
  /** The epoch this server was last told to lead. */
  #toldLeading: Epoch = 0

  constructor(shared: Shared, lease: Lease, replication: Replication, writes: WritesByZone) {
    this.#s = shared
    this.#writes = writes
    this.#lease = lease
    this.#replication = replication
    this.#at = shared.now
  }

  /** Who leads the config service, as far as this replica knows. */
  get leader(): NodeId | '' {
    return this.#leader
  }

  get wakeAt(): Millis {
    const s = this.#s
    // Somebody measures how long nobody could write.
    return s.leading && this.#toldLeading !== s.meta.epoch ? Math.min(this.#at, s.now) : this.#at
  }

  /** Reports since the leader answered one. */
  get unanswered(): number {
    return this.#unanswered
  }

  /** Something is worth telling before its time. */
  soon(): void {
    this.#at = this.#s.now
    this.tick()
  }

  tick(): void {
    const s = this.#s
    if (s.now < this.wakeAt) return
    if (s.leading) this.#toldLeading = s.meta.epoch
    this.#sentAt = s.now
    const everyMs = s.leaving ? s.params.renewMs * LEAVING_PART : s.params.renewMs
    this.#at = s.now + everyMs * (1 - JITTER + 2 * JITTER * s.random())
    if (this.#unanswered >= MAX_UNANSWERED) this.#leader = ''
    this.#unanswered++
    const report = this.#report()
    if (this.#leader !== '') s.send(this.#leader, report)
    else {
      // P6: a list may be older than the last change, whichever it is; whoever was removed tells who leads.
      const ids = [...this.configServers(), ...s.options.configServers].map((c) => c.id)
      for (const id of new Set(ids)) s.send(id, report)
    }
  }

  /** A grant comes from the leader. */
  onGrant(from: NodeId): void {
    this.#leader = from
    this.#unanswered = 0
  }

  onAnswer(from: NodeId, m: Answer): void {
    if (m.leader === from) this.#unanswered = 0
    if (m.leader === '' || m.leader === this.#leader) return
    this.#leader = m.leader
    this.#unanswered = 0
    // The one asked does not lead: the report belongs to the other, soon (two that name each other must not be flooded).
    if (m.leader !== from) this.#at = Math.min(this.#at, this.#sentAt + HINT_PAUSE_MS)
  }

  /** The configuration's list once it is known, until then the stored one, at the very first start the command line's. */
  configServers(): readonly { readonly id: NodeId; readonly storeId?: string }[] {
    const known = this.#s.configuration?.configServers ?? this.#s.meta.configServers ?? []
    return known.length > 0 ? known : this.#s.options.configServers
  }

  /** The group's own pace may be faster than what was assumed before its parameters were known. */
  keepPace(): void {
    this.#at = Math.min(this.#at, this.#sentAt + this.#s.params.renewMs * (1 + JITTER))
  }

  #report(): Report {
    const s = this.#s
    const { id, address, zone } = s.options
    const meta = s.disk.durableMeta // what is told is on disk
    const entered = meta.epoch > 0 && meta.epoch === s.meta.epoch
    const asks = entered && !s.reloading && s.params.leaseReads && this.#lease.noLeaseBelow <= meta.epoch
    const trouble = this.#trouble()
    const writes = this.#writes.due()
    return {
      kind: 'report',
      group: meta.group,
      server: { id, storeId: meta.storeId, address, ...(zone === undefined ? {} : { zone }) },
      epoch: meta.epoch,
      checkpointId: meta.checkpointId,
      sealedFor: meta.sealedFor,
      cannotLead: meta.epoch > 0 && s.recovered.meta.claim === meta.epoch,
      activated: s.activated,
      leading: s.leading && meta.claim === meta.epoch,
      nextIndex: s.log.nextIndex,
      durableIndex: s.disk.durableIndex,
      commitIndex: s.commitIndex,
      base: s.log.base,
      ...(meta.cut === undefined ? {} : { cut: meta.cut }),
      digest: s.rules.digest,
      nonce: asks ? this.#lease.ask() : '',
      freeDiskBytes: Math.floor(s.freeDiskBytes),
      ...(trouble === undefined ? {} : { trouble }),
      ...(writes === undefined ? {} : { writes }),
      ...(s.leaving ? { leaving: true as const } : {}),
    }
  }

  /** An own write, or an uncommitted operation, that is older than T_fail and than its bytes may take, and who is waited for. */
  #trouble(): Report['trouble'] {
    const s = this.#s
    const { failMs } = s.params
    const fsync = s.now - s.disk.oldestBegunAt
    // Many bytes take their time on an honest disk.
    if (fsync > failMs + s.disk.oldestBytes / SLOWEST_BYTES_PER_MS)
      return { kind: 'fsync', sinceMs: fsync, waitingFor: [s.options.id] }
    const waiting = this.#replication.waiting()
    if (waiting === undefined || waiting.waitingFor.length === 0) return undefined
    return { kind: 'uncommitted', sinceMs: s.now - waiting.since, waitingFor: waiting.waitingFor }
  }
}
