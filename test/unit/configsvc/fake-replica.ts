// A replica as the config service sees it (PROTOCOL 2, 3), without data: a log that is only a length, durable marks, a lease. Replication is
// the network's `write`, so that containment and leases can be checked exactly.
import { GENESIS_LINEAGE, GENESIS_NEXT, holderLeaseMs, lastOf } from '@coppice/protocol'
import type {
  Configuration,
  ConfigToReplica,
  Lineage,
  NodeId,
  ReplicaToConfig,
  Report,
  ServerEntry,
} from '@coppice/protocol'

export interface Send {
  (to: NodeId | undefined, message: ReplicaToConfig): void
}

export class FakeReplica {
  readonly id: NodeId
  storeId: string
  up = true
  // durable
  epoch = 0
  checkpointId = ''
  sealedFor = 0
  claim = 0
  lineage: Lineage = GENESIS_LINEAGE
  next = GENESIS_NEXT
  // volatile
  activated = false
  /** Epoch claimed by an earlier incarnation; 0: none. */
  claimedBefore = 0
  commit = 0
  noLeaseBelow = 0
  lease: { epoch: number; until: number } | undefined
  configuration: Configuration | undefined
  leader: NodeId | '' = ''
  leaderAt = 0
  learned = false
  /** Where a LEARN finds it, when it never has all there is; counted in `learnings`. */
  learnsTo: (() => number) | undefined
  learnings = 0
  /** How its clock runs against true time. */
  rate = 1
  /** How a missing log is brought up: instantly, or it says busy with a full copy for ever. */
  catchUp: 'none' | 'delta' | 'fullForEver' | 'mute' = 'delta'
  trouble: Report['trouble']
  /** Whether it answers DRAIN; how often it was told to admit again; whether it goes down, and was told that it may. */
  drains = true
  /** Entries that it says to be in flight when it is drained: none, unless it is wrong. */
  uncommitted = 0
  resumed = 0
  leaving = false
  mayLeave = false
  zone: string | undefined
  /** What it admitted as primary of `writesEpoch`, by zone. */
  private readonly writes = new Map<string, number>()
  private writesEpoch = 0
  group = 'main'
  digest = 'fake'
  private readonly nonces = new Map<string, number>()
  private nonceCount = 0
  private incarnation = 0
  private readonly clock: () => number
  private readonly send: Send

  constructor(id: NodeId, clock: () => number, send: Send) {
    this.id = id
    this.storeId = `store-${id}`
    this.clock = clock
    this.send = send
  }

  get now(): number {
    return this.clock() * this.rate
  }

  get entry(): ServerEntry {
    const { id, storeId, zone } = this
    return { id, storeId, address: `${id}:1`, ...(zone === undefined ? {} : { zone }) }
  }

  countWrites(zone: string, operations: number): void {
    if (this.writesEpoch !== this.epoch) this.writes.clear()
    this.writesEpoch = this.epoch
    this.writes.set(zone, (this.writes.get(zone) ?? 0) + operations)
  }

  private get writesTold(): Pick<Report, 'writes'> {
    const { members = [], params } = this.configuration ?? {}
    if (members[0] !== this.id || params?.affinity.mode !== 'auto') return {}
    const counted = this.writesEpoch === this.epoch ? [...this.writes] : []
    return { writes: counted.map(([zone, operations]) => ({ zone, operations })) }
  }

  get sealed(): boolean {
    return this.sealedFor > this.epoch
  }

  leaseValid(): boolean {
    return this.up && this.lease !== undefined && this.lease.epoch === this.epoch && this.now < this.lease.until
  }

  crash(): void {
    this.up = false
  }

  restart(): void {
    this.up = true
    this.leaving = false
    this.incarnation++
    this.activated = false
    this.claimedBefore = this.claim
    this.commit = 0
    this.noLeaseBelow = 0
    this.lease = undefined
    this.nonces.clear()
    this.leader = ''
  }

  report(): void {
    const known = this.leader !== '' && this.now - this.leaderAt < 400
    this.send(known ? this.leader : undefined, {
      kind: 'report',
      group: this.group,
      server: this.entry,
      epoch: this.epoch,
      checkpointId: this.checkpointId,
      sealedFor: this.sealedFor,
      leading: this.activated && this.configuration?.members[0] === this.id && this.claimedBefore !== this.epoch,
      cannotLead: this.epoch > 0 && this.claimedBefore === this.epoch,
      activated: this.activated,
      nextIndex: this.next,
      durableIndex: this.next,
      commitIndex: this.commit,
      base: 1,
      digest: this.digest,
      nonce: this.epoch > 0 ? this.makeNonce() : '',
      ...(this.trouble === undefined ? {} : { trouble: this.trouble }),
      ...this.writesTold,
      ...(this.leaving ? { leaving: true as const } : {}),
      freeDiskBytes: 2 ** 40,
    })
  }

  onMessage(from: NodeId, m: ConfigToReplica): void {
    switch (m.kind) {
      case 'grant': {
        this.learn(m.configuration)
        const s = this.nonces.get(m.nonce)
        // L3
        if (s === undefined || m.epoch !== this.epoch || m.epoch < this.noLeaseBelow) return
        const until = s + holderLeaseMs(m.configuration.params)
        if (this.lease === undefined || this.lease.epoch !== m.epoch || this.lease.until < until)
          this.lease = { epoch: m.epoch, until }
        this.noteLeader(from)
        return
      }
      case 'answer':
        if (m.leader === from) this.noteLeader(from)
        else if (m.leader !== '') this.noteLeader(m.leader)
        if (m.configuration !== null) this.learn(m.configuration)
        return
      case 'activate':
        return this.learn(m.configuration)
      case 'seal': {
        const refuse =
          this.epoch < m.prev
            ? 'amnesia'
            : m.epoch <= this.epoch
              ? 'older'
              : m.epoch < this.sealedFor
                ? 'later attempt'
                : ''
        if (refuse === '') this.sealedFor = m.epoch
        this.answerSeal(from, m.epoch, refuse)
        return
      }
      case 'learn':
        this.learned = true
        this.learnings++
        this.next = this.learnsTo?.() ?? this.next
        this.send(from, {
          kind: 'learnReply',
          group: this.group,
          attempt: m.attempt,
          state: this.catchUp === 'fullForEver' || this.learnsTo !== undefined ? 'learning' : 'ready',
          reason: '',
          nextIndex: this.next,
          how: 'none',
          bytes: 0,
        })
        return
      case 'enter':
        return this.onEnter(from, m)
      case 'relinquish':
        this.noLeaseBelow = Math.max(this.noLeaseBelow, m.epoch)
        if (this.lease !== undefined && this.lease.epoch < m.epoch) this.lease = undefined
        this.send(from, { kind: 'relinquished', group: this.group, epoch: m.epoch })
        return
      case 'drain':
        if (!this.drains) return
        if (!this.leads(m.prev)) {
          this.send(from, { kind: 'drained', group: this.group, epoch: m.epoch, nextIndex: this.next })
          return
        }
        this.sealedFor = Math.max(this.sealedFor, m.epoch)
        this.commit = this.next - this.uncommitted
        this.answerSeal(from, m.epoch, '')
        return
      case 'resume':
        this.resumed++
        return
      case 'mayLeave':
        this.mayLeave = true
        return
      case 'announce':
        return
    }
  }

  /** It is the one incarnation that proposes in `epoch`, or was that until it was drained. */
  private leads(epoch: number): boolean {
    const primary = this.configuration?.members[0] === this.id && this.configuration.epoch === epoch
    return primary && this.epoch === epoch && this.activated && this.claimedBefore !== epoch
  }

  private answerSeal(to: NodeId, epoch: number, refusal: string): void {
    this.send(to, {
      kind: 'sealReply',
      group: this.group,
      epoch,
      ok: refusal === '',
      reason: refusal,
      ownEpoch: this.epoch,
      sealedFor: this.sealedFor,
      nextIndex: this.next,
      base: 1,
      commitIndex: this.commit,
      lineage: this.lineage.map(([e, s]) => [e, s] as [number, number]),
      digest: this.digest,
    })
  }

  private onEnter(from: NodeId, m: Extract<ConfigToReplica, { kind: 'enter' }>): void {
    if (this.catchUp === 'mute') return
    const reply = (ok: boolean, how: 'none' | 'delta' | 'full', reason = '', busy = false): void =>
      this.send(from, {
        kind: 'enterReply',
        group: this.group,
        epoch: m.epoch,
        checkpointId: m.checkpointId,
        ok,
        busy,
        reason,
        how,
        bytes: 0,
        nonce: ok ? this.makeNonce() : '',
      })
    if (this.epoch === m.epoch) return reply(this.checkpointId === m.checkpointId, 'none', 'entered already')
    if (m.epoch < this.sealedFor || m.epoch <= this.epoch) return reply(false, 'none', 'older')
    this.sealedFor = m.epoch
    if (this.catchUp === 'fullForEver') return reply(false, 'full', '', true)
    const how = this.next === m.start ? 'none' : 'delta'
    this.next = m.start
    this.lineage = [...m.lineage, [m.epoch, m.start]]
    this.epoch = m.epoch
    this.checkpointId = m.checkpointId
    this.lease = undefined
    this.activated = false
    reply(true, how)
  }

  private learn(c: Configuration): void {
    if (this.configuration === undefined || c.version > this.configuration.version) this.configuration = c
    if (c.epoch !== this.epoch || this.activated || !c.members.includes(this.id)) return
    this.activated = true
    this.commit = Math.max(this.commit, c.start) // C2
    const primary = c.members[0] === this.id
    if (primary && this.claim < this.epoch) this.claim = this.epoch
  }

  /** Whether it can take part in a write as a member of `epoch`. */
  serves(epoch: number): boolean {
    return this.up && this.epoch === epoch && !this.sealed && this.activated && lastOf(this.lineage)[0] === epoch
  }

  private noteLeader(id: NodeId): void {
    this.leader = id
    this.leaderAt = this.now
  }

  private makeNonce(): string {
    const nonce = `${this.id}.${this.incarnation}.${++this.nonceCount}`
    this.nonces.set(nonce, this.now)
    return nonce
  }
}
