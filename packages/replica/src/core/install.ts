// ENTER (PROTOCOL 2.4, 5): brings the log to exactly next_S, re-checks the promise, makes the epoch durable, acknowledges. A log that
// must be cut, and a snapshot, are made durable and followed by `reload`; the controller's repeated ENTER carries on.
import { GENESIS_LINEAGE, GENESIS_NEXT } from '@coppice/protocol'
import type { ConfigToReplica, Epoch, Index, Lineage, NodeId, ReplicaToConfig } from '@coppice/protocol'
import type { Backup } from './backup.js'
import type { Fetch } from './fetch.js'
import type { ReplicaMeta } from './io.js'
import type { Lease } from './lease.js'
import { lineageBelow } from './lineage/edit.js'
import { planDelta } from './lineage/plan-delta.js'
import type { DeltaPlan } from './lineage/plan-delta.js'
import type { Membership } from './membership.js'
import type { Sealing } from './seal.js'
import type { Shared } from './shared.js'

export type EnterMessage = Extract<ConfigToReplica, { kind: 'enter' }>
type EnterReply = Extract<ReplicaToConfig, { kind: 'enterReply' }>

interface Attempt {
  readonly message: EnterMessage
  /** Who sent it, and hears of its end at once: writes are stopped meanwhile. */
  readonly from: NodeId
  /** Why this checkpoint cannot be entered; '' while it may be. */
  failure: string
}

export class Install {
  readonly #s: Shared
  readonly #fetch: Fetch
  readonly #sealing: Sealing
  readonly #membership: Membership
  readonly #backup: Backup
  readonly #lease: Lease
  #attempt: Attempt | undefined
  /** How the epoch was entered, for repeated acks. */
  #how: EnterReply['how'] = 'none'
  #bytes = 0

  constructor(s: Shared, fetch: Fetch, sealing: Sealing, membership: Membership, backup: Backup, lease: Lease) {
    this.#s = s
    this.#fetch = fetch
    this.#sealing = sealing
    this.#membership = membership
    this.#backup = backup
    this.#lease = lease
  }

  onEnter(from: NodeId, m: EnterMessage): void {
    const s = this.#s
    const { epoch, checkpointId, sealedFor } = s.meta
    // A late duplicate: it changes nothing, and is acknowledged only for the very same checkpoint.
    if (m.epoch === epoch) {
      if (m.checkpointId !== checkpointId)
        return this.#answer(from, m, `epoch ${epoch} was entered with another checkpoint`)
      return s.disk.whenDurable(() => this.#ack(from, m))
    }
    // Older than what this store promised or entered.
    if (m.epoch < epoch) return this.#answer(from, m, `own epoch is ${epoch}`)
    if (m.epoch < sealedFor) return this.#answer(from, m, `sealed for ${sealedFor}`)
    // D1: another machine gives other answers to the same operations.
    if (m.digest !== s.rules.digest)
      return this.#answer(from, m, `state machine digest is ${s.rules.digest}, not ${m.digest}`)
    const same = this.#attempt?.message.epoch === m.epoch && this.#attempt.message.checkpointId === m.checkpointId
    if (!same) this.#begin(from, m)
    // Its ack leaves once it is durable.
    if (s.meta.epoch === m.epoch) return
    const failure = this.#attempt!.failure
    if (failure !== '') return this.#answer(from, m, failure)
    // It may be about to rebuild its state, and says so: until then it cannot say anything.
    s.send(from, { ...this.#reply(m), busy: true, how: this.#how, bytes: this.#fetch.bytes })
  }

  /** A SEAL came: what is being brought for an older epoch is not wanted any more. */
  overtaken(): void {
    if (this.#attempt !== undefined && this.#attempt.message.epoch < this.#s.meta.sealedFor) this.abort()
  }

  /** Ends what is being brought; a repeated ENTER would begin again. */
  abort(): void {
    if (this.#attempt !== undefined) this.#fetch.stop()
    this.#attempt = undefined
  }

  #begin(from: NodeId, m: EnterMessage): void {
    const s = this.#s
    this.#fetch.stop()
    this.#attempt = { message: m, from, failure: '' }
    for (const server of [...m.members, ...m.sources.map((x) => x.server)]) this.#membership.address(server)
    this.#sealing.freeze()
    // D2: T durably promised E before anything is changed. Where nothing but marks is, the promise is one of them.
    if (this.#plan(m).action !== 'none') this.#sealing.promise(m.epoch)
    const installed = s.recovered.snapshotId.startsWith(`x${m.epoch}.`)
    this.#how = installed ? 'full' : 'none'
    this.#bytes = installed ? s.log.snapshotBytes : 0
    this.#advance()
  }

  /** From where the log is now. */
  #plan(m: EnterMessage, noDelta = false): DeltaPlan {
    const s = this.#s
    const base = noDelta ? Infinity : Math.min(Infinity, ...m.sources.map((x) => x.base))
    return planDelta(
      { lineage: sourceLineage(m), next: m.start, base },
      { lineage: s.meta.lineage, next: s.log.nextIndex, base: s.log.snapshotIndex, commit: s.commitIndex },
    )
  }

  /** Does the next step of the plan. */
  #advance(noDelta = false): void {
    const s = this.#s
    const { message: m } = this.#attempt!
    const plan = this.#plan(m, noDelta)
    switch (plan.action) {
      case 'none':
        return this.#enter(m, this.#attempt!.from)
      case 'delta':
        return this.#bringLog(m, plan.d)
      case 'truncate+delta':
        s.event('transferBegun', { how: 'truncate', from: s.log.nextIndex, to: plan.d })
        s.meta = { ...s.meta, lineage: lineageBelow(s.meta.lineage, plan.d), cut: lowerCut(s.meta, m.prev, plan.d) }
        s.write(
          [
            { kind: 'cutSuffix', from: plan.d },
            { kind: 'meta', meta: s.meta },
          ],
          -1,
        )
        return s.reloadWhenDurable()
      case 'full':
        return this.#bringSnapshot(m, plan.why)
      case 'refuse':
        s.event(plan.alarm ? 'dataLossSuspected' : 'transferRefused', { reason: plan.why, enter: m.epoch })
        this.#attempt!.failure = plan.why
    }
  }

  #bringLog(m: EnterMessage, from: number): void {
    const s = this.#s
    const sources = m.sources.filter((x) => x.base <= from).map((x) => x.server.id)
    s.event('transferBegun', { how: 'delta', from, to: m.start, source: sources[0] })
    if (this.#how === 'none') this.#how = 'delta'
    this.#fetch.begin({
      what: 'log',
      sources,
      to: m.start,
      committedOnly: false,
      lineage: sourceLineage(m),
      name: '',
      rebuild: false,
      done: () => {
        this.#bytes += this.#fetch.bytes
        s.event('transferDone', { how: 'delta', index: s.log.nextIndex, bytes: this.#fetch.bytes })
        this.#advance()
      },
      failed: (reason, detail) => {
        // The sources cut their logs meanwhile: a snapshot is left.
        if (reason === 'compacted') this.#advance(true)
        else this.#fail(detail)
      },
    })
  }

  #bringSnapshot(m: EnterMessage, why: string): void {
    const s = this.#s
    const sources = m.sources.map((x) => x.server.id).filter((id) => id !== s.options.id)
    if (sources.length === 0) return this.#fail('no source is named')
    s.event('transferBegun', { how: 'full', reason: why, source: sources[0] })
    this.#how = 'full'
    this.#fetch.begin({
      what: 'snapshot',
      sources,
      to: m.start,
      committedOnly: false,
      lineage: sourceLineage(m),
      name: `x${m.epoch}`,
      // It may answer reads until it has relinquished.
      rebuild: false,
      done: () => {},
      failed: (reason, detail) => {
        // A source between two snapshots has one in a moment: the repeated ENTER begins again.
        if (reason === 'noSnapshot') this.#attempt = undefined
        else this.#fail(detail)
      },
    })
  }

  #fail(reason: string): void {
    this.#s.event('transferRefused', { reason, enter: this.#attempt!.message.epoch })
    this.#attempt!.failure = reason
  }

  /** The log ends at exactly `start`: the epoch and its lineage become durable, then the ack leaves. */
  #enter(m: EnterMessage, asker: NodeId): void {
    const s = this.#s
    // Re-check: a newer promise came while the log was brought.
    if (s.meta.sealedFor > m.epoch || s.log.nextIndex !== m.start) return this.#fail('overtaken by a newer epoch')
    this.#attempt = undefined
    this.#lease.drop('a new epoch is entered')
    s.activated = false
    s.members = []
    s.leading = false
    this.#backup.expect(m.members[0]?.id ?? '')
    // Epochs that wrote nothing name no entry: they would only make the lineage longer with every change.
    const lineage: Lineage = [...lineageBelow(sourceLineage(m), m.start), [m.epoch, m.start]]
    const { epoch, checkpointId, start } = m
    // Its primary claims it in the same write (PROTOCOL 2.7): writes wait for one disk less.
    const claim = m.members[0]?.id === s.options.id ? epoch : s.meta.claim
    s.writeMeta({ epoch, checkpointId, start, sealedFor: epoch, lineage, claim }, () => {
      s.event('entered', { how: this.#how, start, bytes: this.#bytes })
      this.#ack(asker, m)
    })
  }

  /** The ack, with the lease request for the epoch entered. */
  #ack(to: NodeId, m: EnterMessage): void {
    const s = this.#s
    if (s.meta.epoch !== m.epoch || s.meta.checkpointId !== m.checkpointId) return
    const nonce = m.params.leaseReads ? this.#lease.ask() : ''
    s.send(to, { ...this.#reply(m), ok: true, how: this.#how, bytes: this.#bytes, nonce })
  }

  #answer(to: NodeId, m: EnterMessage, reason: string): void {
    this.#s.send(to, { ...this.#reply(m), reason })
  }

  #reply(m: EnterMessage): EnterReply {
    const { epoch, checkpointId, group } = m
    const refused = { ok: false, busy: false, reason: '', how: 'none', bytes: 0, nonce: '' } as const
    return { kind: 'enterReply', group, epoch, checkpointId, ...refused }
  }
}

/** Cuts ordered in attempts that follow the same epoch count together: the lowest says what may be lacking. */
function lowerCut({ cut }: ReplicaMeta, epoch: Epoch, at: Index): { epoch: Epoch; at: Index } {
  return { epoch, at: cut?.epoch === epoch ? Math.min(cut.at, at) : at }
}

/** Lineage of the source; in the first epoch every store is at genesis and nobody is named. */
function sourceLineage(m: EnterMessage): Lineage {
  return m.lineage.length === 0 && m.start === GENESIS_NEXT ? GENESIS_LINEAGE : m.lineage
}
