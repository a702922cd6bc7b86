// LEARN (PROTOCOL 2.2): a server that will become a member brings the committed log of the running epoch here before anything is
// stopped, so that ENTER ships little. Asked for again and again; each time it catches up a bit further.
import type { ConfigToReplica, NodeId, ReplicaToConfig } from '@coppice/protocol'
import type { Fetch } from './fetch.js'
import type { Install } from './install.js'
import { lineageBelow } from './lineage/edit.js'
import { segmentStart } from './lineage/plan-delta.js'
import type { Membership } from './membership.js'
import type { Shared } from './shared.js'

type LearnMessage = Extract<ConfigToReplica, { kind: 'learn' }>
type LearnReply = Extract<ReplicaToConfig, { kind: 'learnReply' }>

export class Learning {
  readonly #s: Shared
  readonly #fetch: Fetch
  readonly #membership: Membership
  readonly #install: Install
  #attempt = ''
  #state: LearnReply['state'] = 'learning'
  #reason = ''
  #how: LearnReply['how'] = 'none'
  #bytes = 0
  #running = false
  /** Whom the running fetch asks. */
  #source: NodeId | '' = ''

  constructor(s: Shared, fetch: Fetch, membership: Membership, install: Install) {
    this.#s = s
    this.#fetch = fetch
    this.#install = install
    this.#membership = membership
  }

  onLearn(from: NodeId, m: LearnMessage): void {
    const s = this.#s
    if (m.attempt !== this.#attempt) {
      this.#attempt = m.attempt
      this.#state = 'learning'
      this.#reason = ''
      // A snapshot that it brought in this attempt is what this core was made of.
      const installed = s.recovered.snapshotId.startsWith(`${this.#name}.`)
      this.#how = installed ? 'full' : 'none'
      this.#bytes = installed ? s.log.snapshotBytes : 0
    }
    // A member of that epoch, or of a later one, has its log from its primary.
    if (s.meta.epoch >= m.epoch) return this.#answer(from, m, 'failed', `own epoch is ${s.meta.epoch}`)
    // An ENTER for a later epoch is being followed.
    if (s.meta.sealedFor > m.epoch) return this.#answer(from, m, 'failed', `sealed for ${s.meta.sealedFor}`)
    if (m.source.id === s.options.id) return this.#answer(from, m, 'failed', 'the source is this server itself')
    this.#membership.address(m.source)
    // That epoch runs without this server: whatever it still was, or was about to be, is over.
    this.#membership.retire()
    this.#install.abort()
    // Who was asked may be dead by now, or back with an empty disk. One that ships is kept: half a snapshot of it may be here.
    if (this.#running && m.source.id !== this.#source && this.#fetch.isFruitless) this.stop()
    // What was given up for a snapshot is needed again; the next LEARN finds it.
    if (!this.#running && this.#state !== 'failed' && s.recallState()) return
    if (this.#running) this.#fetch.alsoFrom(m.source.id)
    else if (this.#state !== 'failed') this.#bringLog(m.source.id)
    this.#answer(from, m, this.#state, this.#reason)
  }

  /** SEAL or ENTER came: what is here by now is what there is. */
  stop(): void {
    if (this.#running) this.#fetch.stop()
    this.#running = false
  }

  #bringLog(source: NodeId): void {
    const s = this.#s
    this.#running = true
    this.#source = source
    this.#fetch.begin({
      what: 'log',
      sources: [source],
      to: Infinity,
      committedOnly: true,
      lineage: undefined,
      name: '',
      rebuild: false,
      done: () => {
        this.#running = false
        this.#state = 'ready'
        this.#count()
      },
      failed: (reason, detail) => {
        this.#running = false
        this.#count()
        if (reason === 'compacted') this.#bringSnapshot(source)
        else if (reason === 'mismatch') this.#cutBack()
        else this.#fail(detail)
      },
    })
    if (this.#bytes === 0) s.event('transferBegun', { how: 'learn', from: s.log.nextIndex, source })
  }

  #bringSnapshot(source: NodeId): void {
    this.#running = true
    this.#how = 'full'
    this.#fetch.begin({
      what: 'snapshot',
      sources: [source],
      to: Infinity,
      committedOnly: true,
      lineage: undefined,
      name: this.#name,
      rebuild: true,
      done: () => {},
      failed: (reason, detail) => {
        this.#running = false
        // A source between two snapshots has one in a moment: the next LEARN asks again.
        if (reason !== 'noSnapshot') this.#fail(detail)
      },
    })
  }

  /**
   * The end of this log is another history: an epoch of which only a part survived. Goes back over one epoch; the next LEARN finds
   * out whether that was enough. Never below what is known to be committed: that would hide a loss (D4).
   */
  #cutBack(): void {
    const s = this.#s
    const to = Math.max(segmentStart(s.meta.lineage, s.log.nextIndex - 1), s.commitIndex)
    if (to >= s.log.nextIndex) {
      s.event('dataLossSuspected', {
        reason: 'divergence below a committed index',
        commitIndex: s.commitIndex,
        index: to,
      })
      return this.#fail('divergence below a committed index: data loss suspected')
    }
    s.meta = { ...s.meta, lineage: lineageBelow(s.meta.lineage, to) }
    s.write(
      [
        { kind: 'cutSuffix', from: to },
        { kind: 'meta', meta: s.meta },
      ],
      -1,
    )
    s.reloadWhenDurable()
  }

  /** Beginning of the names of snapshots that are brought in this attempt. */
  get #name(): string {
    let hash = 0
    for (let i = 0; i < this.#attempt.length; i++) hash = (Math.imul(hash, 31) + this.#attempt.charCodeAt(i)) >>> 0
    return `l${hash.toString(36)}`
  }

  #count(): void {
    if (this.#how === 'none' && this.#fetch.bytes > 0) this.#how = 'delta'
    this.#bytes += this.#fetch.bytes
  }

  #fail(reason: string): void {
    this.#state = 'failed'
    this.#reason = reason
    this.#s.event('transferRefused', { reason })
  }

  #answer(to: NodeId, m: LearnMessage, state: LearnReply['state'], reason: string): void {
    const { group } = this.#s.meta
    const { attempt } = m
    const running = this.#running ? this.#fetch.bytes : 0
    const how = this.#how === 'none' && running > 0 ? 'delta' : this.#how
    const { nextIndex } = this.#s.log
    const bytes = this.#bytes + running
    this.#s.send(to, { kind: 'learnReply', group, attempt, state, reason, nextIndex, how, bytes })
  }
}
