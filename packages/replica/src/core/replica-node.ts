// The replica core: routes each input to the part that owns it, and after each step lets leave what the commit index allows.
import type {
  BytesPort,
  ClientToReplica,
  ConfigToReplica,
  Configuration,
  ConnectionId,
  Core,
  Millis,
  Sender,
  ToReplicaServer,
} from '@coppice/protocol'
import { Announcement } from './announcement.js'
import { Backup } from './backup.js'
import { ClerkUpkeep } from './clerk-upkeep.js'
import { Drain } from './drain.js'
import { Fetch } from './fetch.js'
import { Install } from './install.js'
import type { ReplicaEffect, ReplicaInput, ReplicaOptions } from './io.js'
import { Learning } from './learn.js'
import { Lease } from './lease.js'
import { Leaving } from './leaving.js'
import { Membership } from './membership.js'
import { OpenRecord } from './open-record.js'
import { PendingReplies } from './pending-replies.js'
import { Primary } from './primary.js'
import { Reads } from './reads.js'
import { Replication } from './replication.js'
import { Reporter } from './report.js'
import { Sealing } from './seal.js'
import { Shared } from './shared.js'
import type { Recovered } from './shared.js'
import { Snapshots } from './snapshots.js'
import type { StateMachine } from './state-machine.js'
import { StateHash, stateHash } from './state-hash.js'
import { statusOf } from './status.js'
import { TransferSource } from './transfer.js'
import type { ReplicaView } from './view.js'
import { Watches } from './watches.js'
import { WritesByZone } from './writes-by-zone.js'

/** The core of a replica: primary, backup or spare of one group (PROTOCOL 2–6). Pure; a ReplicaLoader makes it. */
export class ReplicaNode implements Core<ReplicaInput, ReplicaEffect> {
  readonly view: ReplicaView
  readonly #s: Shared
  readonly #lease: Lease
  readonly #replication: Replication
  readonly #pending: PendingReplies
  readonly #primary: Primary
  readonly #writes: WritesByZone
  readonly #hash: StateHash
  readonly #backup: Backup
  readonly #reads: Reads
  readonly #snapshots: Snapshots
  readonly #sealing: Sealing
  readonly #membership: Membership
  readonly #fetch: Fetch
  readonly #install: Install
  readonly #learning: Learning
  readonly #source: TransferSource
  readonly #reporter: Reporter
  readonly #upkeep: ClerkUpkeep
  readonly #drain: Drain
  readonly #leaving: Leaving
  readonly #announcement: Announcement
  readonly #watches: Watches
  #released = 0
  #begun = false
  #diskLow = false

  /** @internal */
  constructor(options: ReplicaOptions, machine: StateMachine, bytes: BytesPort, recovered: Recovered, now: Millis) {
    const s = new Shared(options, machine, bytes, recovered, now)
    const open = new OpenRecord(bytes)
    this.#s = s
    this.#lease = new Lease(s)
    this.#replication = new Replication(s, open)
    this.#pending = new PendingReplies(s)
    this.#writes = new WritesByZone(s)
    this.#primary = new Primary(s, open, this.#replication, this.#pending, this.#lease, this.#writes)
    this.#hash = new StateHash(s, this.#replication)
    this.#backup = new Backup(s, this.#hash)
    this.#reads = new Reads(s, this.#lease, this.#primary)
    this.#snapshots = new Snapshots(s, this.#replication)
    this.#sealing = new Sealing(s, this.#replication, this.#backup, this.#reads, this.#lease, this.#snapshots)
    this.#membership = new Membership(s, this.#primary, this.#backup, this.#lease, this.#sealing, this.#pending)
    this.#fetch = new Fetch(s, this.#snapshots)
    this.#install = new Install(s, this.#fetch, this.#sealing, this.#membership, this.#backup, this.#lease)
    this.#learning = new Learning(s, this.#fetch, this.#membership, this.#install)
    this.#source = new TransferSource(s)
    this.#reporter = new Reporter(s, this.#lease, this.#replication, this.#writes)
    this.#upkeep = new ClerkUpkeep(s, this.#primary)
    this.#leaving = new Leaving(s, this.#reporter)
    this.#drain = new Drain(s, this.#primary, this.#replication, this.#sealing)
    this.#announcement = new Announcement(s, this.#membership, this.#upkeep)
    this.#watches = new Watches(s, this.#lease, this.#reporter)
    this.#released = s.commitIndex
    this.view = viewOf(s, this.#lease)
  }

  get wakeAt(): Millis {
    const parts = Math.min(this.#reporter.wakeAt, this.#replication.wakeAt, this.#reads.wakeAt, this.#fetch.wakeAt)
    const more = Math.min(
      this.#upkeep.wakeAt,
      this.#primary.machineTime.wakeAt,
      this.#snapshots.wakeAt,
      this.#drain.wakeAt,
    )
    return Math.min(parts, more, this.#watches.wakeAt)
  }

  get wantsFlush(): boolean {
    return this.#replication.wantsFlush || this.#backup.wantsFlush
  }

  /** Entries wait to be applied, or watchers to be told: there is time once what this turn made has left. */
  get wantsApply(): boolean {
    return this.#s.due.any || this.#watches.wantsTelling
  }

  get wantsCapture(): boolean {
    return !this.#s.reloading && (this.#snapshots.wantsCapture || this.#hash.wantsSlice)
  }

  step(now: Millis, input: ReplicaInput): readonly ReplicaEffect[] {
    const s = this.#s
    s.now = now
    s.effects.length = 0
    if (!this.#begun) this.#begin()
    this.#route(input)
    // What the commit index allows leaves in the step that raised it.
    if (s.commitIndex > this.#released) {
      this.#released = s.commitIndex
      s.due.settleRuns()
      this.#pending.release()
      this.#reads.release()
      this.#snapshots.maybeCommit()
    }
    this.#drain.settle()
    this.#leaving.settle()
    this.#watches.settle()
    if (s.stateless || s.reloading) this.#hash.drop()
    if (!s.reloading) this.#primary.admitHeld()
    return s.effects
  }

  #route(input: ReplicaInput): void {
    switch (input.kind) {
      case 'message':
        return this.#onMessage(input.from, input.message)
      case 'client':
        return this.#onClient(input.connection, input.message)
      case 'written':
        this.#s.disk.onWritten(input.token)
        return this.#replication.advanceCommit()
      case 'flush':
        this.#replication.flush()
        return this.#backup.flush()
      case 'tick':
        return this.#tick()
      case 'clientGone':
        this.#primary.clientGone(input.connection)
        this.#writes.clientGone(input.connection)
        this.#drain.clientGone(input.connection)
        this.#pending.clientGone(input.connection)
        this.#reads.clientGone(input.connection)
        this.#watches.clientGone(input.connection)
        return this.#upkeep.clientGone(input.connection)
      case 'logRead':
        return this.#source.onLogRead(input)
      case 'snapshotRead':
        return this.#source.onSnapshotRead(input)
      case 'apply':
        this.#s.due.settle()
        return this.#watches.tell()
      case 'leave':
        return this.#leaving.begin()
      case 'capture':
        if (!this.wantsCapture) return
        this.#snapshots.capture()
        return this.#hash.slice()
      case 'health':
        return this.#onHealth(input.wallMs, input.sleptMs, input.freeDiskBytes)
    }
  }

  #onMessage(from: Sender, m: ToReplicaServer): void {
    // Of another group, or for a state that is about to be replaced: the sender repeats what matters.
    if (this.#s.reloading || ('group' in m && m.group !== this.#s.meta.group)) return
    switch (m.kind) {
      case 'append':
        return this.#backup.onAppend(from, m)
      case 'appendAck':
        return this.#replication.onAck(from, m)
      case 'commit':
        return this.#backup.onCommit(from, m)
      case 'ping':
        return this.#reads.ping.onPing(from, m)
      case 'pong':
        return this.#reads.ping.onPong(from, m)
      case 'fetchLog':
        return this.#source.onFetchLog(from, m)
      case 'fetchSnapshot':
        return this.#source.onFetchSnapshot(from, m)
      case 'fetchRefused':
        return this.#fetch.onRefused(from, m)
      case 'hashAt':
        return this.#hash.onHashAt(from, m)
      case 'logChunk':
        return this.#fetch.onLogChunk(from, m)
      case 'snapshotChunk':
        return this.#fetch.onSnapshotChunk(from, m)
      default:
        return this.#onControl(from, m)
    }
  }

  /** From config servers, which alone may change epochs and give leases. */
  #onControl(from: Sender, m: ConfigToReplica): void {
    const s = this.#s
    const servers = this.#reporter.configServers()
    // An unknown server, or one that lost its store under a known name, is refused; but it may tell what was chosen since this list was.
    const known = servers.some((x) => x.id === from.id && (x.storeId ?? from.storeId) === from.storeId)
    if (!known && !(m.kind === 'answer' && this.#mayTell(from, m.configuration))) return
    switch (m.kind) {
      case 'grant':
        this.#reporter.onGrant(from.id)
        this.#membership.adopt(m.configuration)
        return this.#lease.onGrant(m.epoch, m.nonce)
      case 'answer':
        this.#reporter.onAnswer(from.id, m)
        if (m.configuration !== null) this.#membership.adopt(m.configuration)
        return this.#reporter.keepPace()
      case 'activate':
        return this.#membership.adopt(m.configuration)
      case 'seal':
        this.#learning.stop()
        // Said again until it is answered, by the core that has a state.
        if (s.recallState()) return
        this.#drain.lengthen(m.epoch)
        this.#sealing.onSeal(from.id, m)
        return this.#install.overtaken()
      case 'learn':
        return this.#learning.onLearn(from.id, m)
      case 'enter':
        this.#learning.stop()
        if (s.recallState()) return
        this.#drain.lengthen(m.epoch)
        return this.#install.onEnter(from.id, m)
      case 'relinquish':
        return this.#sealing.onRelinquish(from.id, m)
      case 'announce':
        return this.#announcement.onAnnounce(m)
      case 'drain':
        return this.#drain.onDrain(from.id, m)
      case 'resume':
        return this.#drain.onResume(m.epoch)
      case 'mayLeave':
        return this.#leaving.onMayLeave()
    }
  }

  /** P6: all servers of the list may be gone. One that the command line names, or a newer configuration of this cluster, says who follows. */
  #mayTell(from: Sender, configuration: Configuration | null): boolean {
    const s = this.#s
    if (s.options.configServers.some((x) => x.id === from.id)) return true
    if (configuration === null || configuration.clusterId !== s.meta.clusterId) return false
    const newer = configuration.version > (s.configuration?.version ?? 0)
    return newer && configuration.configServers.some((x) => x.id === from.id && x.storeId === from.storeId)
  }

  #onClient(connection: ConnectionId, m: ClientToReplica): void {
    const s = this.#s
    this.#upkeep.heard(connection)
    switch (m.kind) {
      case 'requests':
        if (this.#drain.take({ connection, message: m })) return
        return this.#primary.onRequests(connection, m)
      case 'reads':
        return this.#reads.onReads(connection, m)
      case 'register':
        if (this.#drain.take({ connection, message: m })) return
        return this.#primary.onRegister(connection, m)
      case 'skip':
        if (this.#drain.take({ connection, message: m })) return
        return this.#primary.onSkip(connection, m)
      case 'watch':
        return this.#watches.onWatch(connection, m)
      case 'unwatch':
        return this.#watches.onUnwatch(connection, m)
      case 'credit':
        return this.#watches.onCredit(connection, m)
      case 'zone':
        return this.#writes.said(connection, m.zone)
      case 'status':
        return s.reply(connection, { kind: 'statusAnswer', requestId: m.requestId, status: statusOf(s, this.#lease) })
      case 'getConfig': {
        // A clerk whose config servers all are gone asks a replica; of another group nothing is known here.
        const { requestId } = m
        const configuration = m.group === s.meta.group ? (s.configuration ?? null) : null
        return s.reply(connection, { kind: 'config', requestId, leader: this.#reporter.leader, configuration })
      }
      case 'hash':
        return this.#hash.onAsk(connection, m)
    }
  }

  #tick(): void {
    this.#reads.tick()
    this.#reporter.tick()
    this.#watches.tick()
    if (this.#s.reloading) return
    this.#replication.tick()
    this.#fetch.tick()
    this.#upkeep.tick()
    this.#primary.machineTime.tick()
    this.#snapshots.maybeCommit()
  }

  #onHealth(wallMs: Millis, sleptMs: Millis, freeDiskBytes: number): void {
    const s = this.#s
    s.freeDiskBytes = freeDiskBytes
    this.#lease.onHealth(wallMs, sleptMs)
    // Time in which this process did not run is nobody's fault.
    if (sleptMs > 0) {
      s.disk.forgive(sleptMs)
      this.#replication.tail.forgive(sleptMs)
    }
    const low = this.#primary.diskLow
    if (low && !this.#diskLow) s.event('diskLow', { freeDiskBytes })
    this.#diskLow = low
  }

  /** First step of this incarnation. */
  #begin(): void {
    const s = this.#s
    this.#begun = true
    // Where this process was told to look goes before what the store remembers: an address may have changed, or be another cluster's.
    for (const server of [...(s.meta.configServers ?? []), ...s.options.configServers]) this.#membership.address(server)
    const { epoch, sealedFor } = s.meta
    s.event('recovered', {
      epoch,
      sealedFor,
      nextIndex: s.log.nextIndex,
      base: s.log.base,
      snapshot: s.log.snapshotIndex,
    })
  }
}

function viewOf(s: Shared, lease: Lease): ReplicaView {
  return {
    get meta() {
      return s.meta
    },
    get nextIndex() {
      return s.log.nextIndex
    },
    get durableIndex() {
      return s.disk.durableIndex
    },
    get commitIndex() {
      return s.commitIndex
    },
    get base() {
      return s.log.base
    },
    get activated() {
      return s.activated
    },
    get isPrimary() {
      return s.leading && s.running
    },
    get draining() {
      return s.draining
    },
    get members() {
      return s.members
    },
    get sealed() {
      return s.sealed
    },
    get appliedIndex() {
      return s.log.nextIndex
    },
    get stateless() {
      return s.stateless
    },
    leaseValid: (now) => lease.valid(now),
    epochAt: (index) => s.epochAt(index),
    stateHash: () => stateHash(s),
    changesHash: () => s.changes.hash(s.bytes),
  }
}
