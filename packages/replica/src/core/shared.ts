// What the parts of a replica core share: its marks, its log, its role, and the list of effects being made (PROTOCOL 2).
import { assert, DEFAULT_PARAMS, epochAt } from '@coppice/protocol'
import type {
  BytesPort,
  ClerkId,
  Configuration,
  ConnectionId,
  Epoch,
  EventName,
  FromReplicaServer,
  Index,
  Millis,
  NodeId,
  Params,
  ReplicaToClient,
  Sender,
} from '@coppice/protocol'
import type { Applier } from './apply.js'
import type { ChangeLog } from './change-log.js'
import { DueEntries } from './due-entries.js'
import { DiskQueue } from './disk-queue.js'
import type { ClerkTable } from './exactly-once.js'
import type { Log } from './log.js'
import type { DiskWrite, Rebuilt, ReplicaEffect, ReplicaMeta, ReplicaOptions, UnfinishedSnapshot } from './io.js'
import type { MachineRules, StateMachine } from './state-machine.js'

/** What recovery found on the disk and rebuilt from it. */
export interface Recovered {
  readonly meta: ReplicaMeta
  readonly log: Log
  readonly table: ClerkTable
  readonly changes: ChangeLog
  readonly applier: Applier
  readonly snapshotId: string
  readonly unfinished: UnfinishedSnapshot | undefined
}

export class Shared {
  readonly options: ReplicaOptions
  /** What of the state machine does not depend on its state. */
  readonly rules: MachineRules
  readonly bytes: BytesPort
  readonly log: Log
  /** Entries of the log that the state does not hold yet. */
  readonly due: DueEntries
  readonly effects: ReplicaEffect[] = []
  readonly disk: DiskQueue
  readonly recovered: Recovered
  /** Time of the present step. */
  now: Millis
  /** Marks as they will be once every write begun so far is durable. */
  meta: ReplicaMeta
  /** The newest configuration heard of; its epoch may be older or newer than this replica's. */
  configuration: Configuration | undefined
  /** This incarnation learned that its epoch runs (PROTOCOL 2.7). */
  activated = false
  /** Members of the own epoch, primary first, with the stores they must have; empty until activated. */
  members: readonly NodeId[] = []
  /** All below is committed (R3, C1, C2). */
  commitIndex: Index
  /** Primary with its claim durable: it may propose. */
  leading = false
  /** False from a restart until the primary accepted what this store holds: only then lease reads (PROTOCOL 3). */
  acceptedByPrimary = false
  /** The store was changed under the state: only a new core may go on. */
  reloading = false
  /** The state was given up for a snapshot that is being brought (rebuild.ts): nothing is read from it or applied to it any more. */
  stateless = false
  /** Its process is about to end. */
  leaving = false
  /** A planned change to `epoch` is under way, whose primary will be `target`: nothing more is admitted in the epoch before it (drain.ts). */
  drain: { readonly epoch: Epoch; readonly target: NodeId; until: Millis } | undefined
  /** Until then somebody who brings its log or its snapshot from here is taken to come back for more. */
  shippingUntil: Millis = -Infinity
  /** Bytes free on the data directory's disk. */
  freeDiskBytes = Number.MAX_SAFE_INTEGER
  readonly #machine: StateMachine
  #seed: number

  constructor(options: ReplicaOptions, machine: StateMachine, bytes: BytesPort, recovered: Recovered, now: Millis) {
    this.options = options
    this.#machine = machine
    this.rules = machine
    this.bytes = bytes
    this.recovered = recovered
    this.meta = recovered.meta
    this.log = recovered.log
    this.due = new DueEntries(recovered.applier)
    this.disk = new DiskQueue(this.effects, this.log.nextIndex, this.meta)
    this.commitIndex = this.log.snapshotIndex
    this.now = now
    this.#seed = options.seed >>> 0
  }

  /** The machine's state after all entries of the log. */
  get machine(): StateMachine {
    assert(!this.stateless, 'a state that was given up is not looked at')
    this.due.settle()
    return this.#machine
  }

  /** When the machine wants a tick, as far as entries are applied. */
  get machineDueAt(): Millis {
    return this.#machine.dueAt ?? Infinity
  }

  /** The exactly-once table after all entries of the log. */
  get table(): ClerkTable {
    assert(!this.stateless, 'a table that was given up is not looked at')
    this.due.settle()
    return this.recovered.table
  }

  /** What the newest entries changed, up to the last entry of the log. */
  get changes(): ChangeLog {
    assert(!this.stateless, 'a state that was given up is not looked at')
    this.due.settle()
    return this.recovered.changes
  }

  /** The table as far as this clerk is concerned: entries of others may be due. */
  tableFor(clerkId: ClerkId): ClerkTable {
    this.due.settleFor(clerkId)
    return this.recovered.table
  }

  /** For entries that follow all of the log at once. */
  get applier(): Applier {
    this.due.settle()
    return this.recovered.applier
  }

  /** An epoch above the own was promised: the log is frozen (PROTOCOL 2.3). */
  get sealed(): boolean {
    return this.meta.sealedFor > this.meta.epoch
  }

  get params(): Params {
    return this.configuration?.params ?? DEFAULT_PARAMS
  }

  /** Primary of the own epoch by configuration, whether it may lead or not. */
  get primary(): NodeId | '' {
    return this.members[0] ?? ''
  }

  epochAt(index: Index): Epoch {
    return epochAt(this.meta.lineage, index)
  }

  /** The epoch's activation is learned, it is not over as far as known here, and the store is trusted. */
  get running(): boolean {
    return this.activated && !this.sealed && !this.reloading
  }

  /** This server's epoch ends by a planned change: it admits no more. */
  get draining(): boolean {
    return this.drain !== undefined && this.meta.epoch < this.drain.epoch
  }

  /** Whether the sender is a member of the own, activated epoch with the store that is registered for it. */
  isMember(from: Sender): boolean {
    if (!this.activated || !this.members.includes(from.id)) return false
    const entry = this.configuration?.servers.find((s) => s.id === from.id)
    return entry === undefined || entry.storeId === from.storeId
  }

  send(to: NodeId, message: FromReplicaServer): void {
    this.effects.push({ kind: 'send', to, message })
  }

  reply(connection: ConnectionId, message: ReplicaToClient): void {
    this.effects.push({ kind: 'reply', connection, message })
  }

  event(name: EventName, fields: Readonly<Record<string, unknown>>): void {
    this.effects.push({ kind: 'event', name, fields: { epoch: this.meta.epoch, ...fields } })
  }

  /** Begins a write that changes the marks too; they are valid at once, for what follows is written after them. */
  writeMeta(change: Partial<ReplicaMeta>, then?: () => void): void {
    this.meta = { ...this.meta, ...change }
    this.disk.write(this.now, [{ kind: 'meta', meta: this.meta }], -1, then)
  }

  write(writes: readonly DiskWrite[], durableTo: Index, then?: () => void): void {
    this.disk.write(this.now, writes, durableTo, then)
  }

  /** From here on only a new core, built from the disk, may go on. `rebuilt`: the state of the snapshot that will be there. */
  reloadWhenDurable(rebuilt?: Rebuilt): void {
    this.reloading = true
    this.leading = false
    const reload = rebuilt === undefined ? ({ kind: 'reload' } as const) : ({ kind: 'reload', rebuilt } as const)
    this.disk.whenDurable(() => this.effects.push(reload))
  }

  /** The machine, to load another state into; the present one is needed by nobody here, and is on the disk. */
  giveUpState(): StateMachine {
    assert(!this.activated, 'a member keeps its state')
    this.due.settle()
    this.stateless = true
    return this.#machine
  }

  /** The state is needed. True: it was given up, and only a new core, built from the disk, may go on. */
  recallState(): boolean {
    if (this.stateless && !this.reloading) this.reloadWhenDurable()
    return this.stateless
  }

  /** Own jitter and nonces: a number in [0, 1) (mulberry32). */
  random(): number {
    this.#seed = (this.#seed + 0x6d2b79f5) >>> 0
    let t = this.#seed
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}
