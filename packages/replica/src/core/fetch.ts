// The target's side of a transfer (PROTOCOL 5): brings log records or a snapshot from another replica to this disk, chunk by chunk,
// each asked for again until it comes; a source that does not serve is left for the next.
import { DecodeError } from '@coppice/protocol'
import type {
  Index,
  Lineage,
  LogChunkMessage,
  Millis,
  NodeId,
  ReplicaToReplicaControl,
  Sender,
  SnapshotChunkMessage,
} from '@coppice/protocol'
import { IncomingSnapshot } from './incoming-snapshot.js'
import type { DiskWrite, Rebuilt, UnfinishedSnapshot } from './io.js'
import { agreeBelow, lineageBelow, lineageWith } from './lineage/edit.js'
import { checkedRecords } from './log-chunk.js'
import type { CheckedRecord } from './log-chunk.js'
import { Rebuild } from './rebuild.js'
import type { Shared } from './shared.js'
import type { Snapshots } from './snapshots.js'

type Refused = Extract<ReplicaToReplicaControl, { kind: 'fetchRefused' }>

const RETRY_MS = 400
/** Unanswered questions after which a half-fetched snapshot is given up. */
const MAX_SILENCES = 10
/** Writes under way above which the next piece of log waits for the disk. */
const MAX_WRITES = 4

export interface Goal {
  readonly what: 'log' | 'snapshot'
  /** Asked in turn; who is named later joins them. */
  readonly sources: NodeId[]
  /** The log is brought to exactly this index; Infinity: as far as the source has committed. */
  readonly to: Index
  readonly committedOnly: boolean
  /** Lineage that everything brought must agree with; undefined while learning. */
  readonly lineage: Lineage | undefined
  /** Beginning of the name under which a snapshot is stored here. */
  readonly name: string
  /** Nobody needs the present state: it is given up for that of the snapshot, which is rebuilt as it comes. */
  readonly rebuild: boolean
  /** The log is where it should be. A snapshot ends in `reload` instead. */
  readonly done: () => void
  readonly failed: (reason: Refused['reason'] | 'invalid', detail: string) => void
}

const INVALID = 'invalid'

export class Fetch {
  /** Bytes brought for the present goal. */
  bytes = 0
  readonly #s: Shared
  readonly #snapshots: Snapshots
  #goal: Goal | undefined
  #source = 0
  /** Of the newest question; a repetition to the same source keeps it, so that the source knows it for one. */
  #token = 0
  /** Of the first question for what is wanted now: the answer of any source asked since is as good. */
  #firstToken = 0
  /** The source said that its answer is under way. */
  #onItsWay = false
  #retryAt: Millis = Infinity
  #refusals = 0
  #silences = 0
  /** The source said that it does not serve now. */
  #notServing = false
  /** Whom the newest question went to. */
  #asked: NodeId | '' = ''
  #incoming: IncomingSnapshot | undefined
  /** What is on the disk of a snapshot that was being brought when the process before ended. */
  #left: UnfinishedSnapshot | undefined
  /** The state of `#incoming` as far as it is here. */
  #rebuild: Rebuild | undefined

  constructor(shared: Shared, snapshots: Snapshots) {
    this.#s = shared
    this.#snapshots = snapshots
    this.#left = shared.recovered.unfinished
    this.#token = Math.floor(shared.random() * 2 ** 32) * 2 ** 16
  }

  get active(): boolean {
    return this.#goal !== undefined
  }

  /** The newest question brought nothing so far: it had to be repeated, or the source does not serve. */
  get isFruitless(): boolean {
    return this.#silences > 0 || this.#notServing
  }

  begin(goal: Goal): void {
    this.stop()
    this.#goal = goal
    this.bytes = 0
    this.#source = 0
    this.#refusals = 0
    this.#silences = 0
    this.#notServing = false
    if (goal.what === 'log' && this.#s.recallState()) return
    this.#ask()
  }

  /** Another server has it too: asked when those before do not answer. */
  alsoFrom(source: NodeId): void {
    const sources = this.#goal?.sources
    if (sources !== undefined && !sources.includes(source)) sources.push(source)
  }

  stop(): void {
    this.#dropIncoming()
    this.#goal = undefined
    this.#firstToken = ++this.#token
    this.#retryAt = Infinity
  }

  onLogChunk(from: Sender, m: LogChunkMessage): void {
    const s = this.#s
    const goal = this.#answered(from, m.token)
    // A large record may take longer than any pause between two questions, so a late answer is as welcome as a quick one.
    if (goal === undefined || goal.what !== 'log' || m.from !== s.log.nextIndex) return
    let records: readonly CheckedRecord[]
    try {
      records = checkedRecords(m, goal, s.bytes.crc32)
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      return this.#fail(INVALID, error.message)
    }
    const writes: DiskWrite[] = []
    const before = s.meta.lineage
    let lineage = before
    for (const { header, bytes } of records) {
      const { firstIndex, entries } = header
      // Applied once the next question has left: the source reads and ships meanwhile.
      s.due.record(header, bytes)
      s.log.appended(firstIndex, firstIndex + entries, bytes.length, header.elapsedMs)
      lineage = lineageWith(lineage, header.epoch, firstIndex)
      writes.push({ kind: 'record', firstIndex, entries, bytes })
      this.bytes += bytes.length
    }
    if (lineage !== before) {
      s.meta = { ...s.meta, lineage }
      writes.push({ kind: 'meta', meta: s.meta })
    }
    if (writes.length > 0) s.write(writes, s.log.nextIndex)
    // What a source ships as committed in a running epoch is committed.
    if (goal.committedOnly && s.log.nextIndex > s.commitIndex) s.commitIndex = s.log.nextIndex
    if (s.log.nextIndex === goal.to || (goal.committedOnly && m.end)) {
      this.stop()
      return goal.done()
    }
    if (records.length === 0) return this.#nextSource('notServing')
    this.#refusals = 0
    this.#goOn(goal)
  }

  onSnapshotChunk(from: Sender, m: SnapshotChunkMessage): void {
    const s = this.#s
    const goal = this.#answered(from, m.token)
    if (goal === undefined || goal.what !== 'snapshot') return
    const crc = s.bytes.crc32(m.bytes, 0, m.bytes.length)
    if (crc !== m.crc) return this.#fail(INVALID, `snapshot chunk ${m.chunk}: CRC is wrong`)
    const isFirst = this.#incoming === undefined
    if (isFirst) {
      // Beyond what is wanted, of other entries, or of no use: a delta is shorter.
      if (m.index > goal.to || (m.index <= s.log.nextIndex && goal.lineage === undefined)) {
        return this.#fail('noSnapshot', `snapshot at ${m.index} does not help`)
      }
      if (goal.lineage !== undefined && !agreeBelow(m.lineage, goal.lineage, m.index)) {
        return this.#fail('mismatch', `snapshot at ${m.index} is of another history`)
      }
      this.#beginIncoming(goal, m)
      // Nobody else has the rest of it.
      this.#source = goal.sources.indexOf(from.id)
    }
    const incoming = this.#incoming!
    if (m.snapshotId !== incoming.origin.snapshotId) return
    if (!incoming.take(m.chunk)) {
      // Here since before this process; what the first answer says of the others is what was wanted.
      if (isFirst) this.#goOnOrInstall(goal, incoming)
      return
    }
    if (!this.#isSound(() => this.#rebuild?.add(m.chunk, m.bytes))) return
    const chunk = { kind: 'snapshotChunk', snapshotId: incoming.ownId, chunk: m.chunk, bytes: m.bytes } as const
    s.write([chunk], -1, () => {
      incoming.written()
      if (this.#incoming === incoming) this.#goOnWith(goal, incoming)
    })
    this.bytes += m.bytes.length
    this.#refusals = 0
    this.#goOnOrInstall(goal, incoming)
  }

  /** The first chunk says which snapshot the source has: what a former process brought of it need not come again. */
  #beginIncoming(goal: Goal, m: SnapshotChunkMessage): void {
    const s = this.#s
    const { snapshotId, index, lineage, chunks, totalBytes } = m
    const origin = { snapshotId, index, lineage, chunks, totalBytes }
    const left = this.#left
    const resumed = left?.origin.snapshotId === snapshotId ? left : undefined
    this.#left = undefined
    if (left !== undefined && resumed === undefined)
      s.write([{ kind: 'snapshotDrop', snapshotId: left.snapshotId }], -1)
    const word = Math.floor(s.random() * 2 ** 32).toString(36)
    const ownId = `${goal.name}.${index}.${word}`
    const resumes = resumed === undefined ? {} : { resumes: resumed.snapshotId }
    s.write([{ kind: 'snapshotBegin', snapshotId: ownId, origin, ...resumes }], -1)
    this.#incoming = new IncomingSnapshot(ownId, origin, ++this.#token)
    this.#token = this.#incoming.tokensEnd
    if (resumed !== undefined) {
      // Read back from the disk in the end, with the others.
      this.#incoming.found(resumed.have)
      s.event('transferResumed', { chunks: resumed.have.length, of: chunks })
    } else if (goal.rebuild) {
      this.#snapshots.discard('the state is given up for another')
      this.#rebuild = new Rebuild(s.giveUpState(), s.bytes, s.options.changeLogBytes)
    }
  }

  #goOnOrInstall(goal: Goal, incoming: IncomingSnapshot): void {
    if (incoming.complete) this.#install(incoming)
    else this.#goOn(goal)
  }

  onRefused(from: Sender, m: Refused): void {
    const goal = this.#goal
    if (goal === undefined || m.token < this.#firstToken || m.token > this.#token) return
    if (from.id !== this.#sourceId(goal)) return
    this.#silences = 0
    this.#notServing = m.reason === 'notServing'
    if (m.reason === 'onItsWay') {
      this.#onItsWay = true
      return
    }
    // The source has a newer snapshot by now: begin again with that.
    if (m.reason === 'noSnapshot') this.#dropIncoming()
    this.#nextSource(m.reason)
  }

  get wakeAt(): Millis {
    return this.#retryAt
  }

  tick(): void {
    if (this.#goal === undefined || this.#s.now < this.#retryAt) return
    if (this.#onItsWay) return this.#askAgain()
    this.#silences++
    // Half a snapshot is worth waiting for, but not for ever.
    if (this.#incoming !== undefined && this.#silences > MAX_SILENCES) {
      this.#dropIncoming()
      this.#source++
      return this.#ask()
    }
    if (this.#incoming === undefined) this.#source++
    this.#askAgain()
  }

  #dropIncoming(): void {
    if (this.#incoming !== undefined) this.#s.write([{ kind: 'snapshotDrop', snapshotId: this.#incoming.ownId }], -1)
    this.#incoming = undefined
    this.#rebuild = undefined
  }

  /** Whether that could be done with what came; else the goal has failed. */
  #isSound(load: () => void): boolean {
    try {
      load()
      return true
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      this.#fail(INVALID, error.message)
      return false
    }
  }

  #answered(from: Sender, token: number): Goal | undefined {
    const goal = this.#goal
    if (goal === undefined || token < this.#firstToken || token > this.#token) return undefined
    if (!goal.sources.includes(from.id)) return undefined
    this.#silences = 0
    this.#notServing = false
    return goal
  }

  #sourceId(goal: Goal): NodeId {
    return goal.sources[this.#source % goal.sources.length]!
  }

  #ask(): void {
    this.#firstToken = ++this.#token
    this.#put()
  }

  /** The same question, to the same source or to another. */
  #askAgain(): void {
    if (this.#asked !== this.#sourceId(this.#goal!)) this.#token++
    this.#put()
  }

  #put(): void {
    const s = this.#s
    const goal = this.#goal!
    const to = this.#sourceId(goal)
    const { group } = s.meta
    const token = this.#token
    this.#asked = to
    this.#onItsWay = false
    this.#retryAt = s.now + RETRY_MS
    if (goal.what === 'log') {
      const from = s.log.nextIndex
      const end = Math.min(goal.to, Number.MAX_SAFE_INTEGER)
      const { committedOnly } = goal
      s.send(to, { kind: 'fetchLog', group, token, from, fromEpoch: s.epochAt(from - 1), to: end, committedOnly })
    } else if (this.#incoming === undefined) {
      s.send(to, { kind: 'fetchSnapshot', group, token, snapshotId: '', chunk: 0 })
    } else {
      for (const chunk of this.#incoming.missing()) this.#putChunk(to, this.#incoming, chunk)
    }
  }

  #putChunk(to: NodeId, incoming: IncomingSnapshot, chunk: number): void {
    const { snapshotId } = incoming.origin
    const token = incoming.tokenOf(chunk)
    this.#s.send(to, { kind: 'fetchSnapshot', group: this.#s.meta.group, token, snapshotId, chunk })
  }

  /** Asks for what comes next, unless the disk is behind. */
  #goOn(goal: Goal): void {
    if (this.#incoming !== undefined) return this.#goOnWith(goal, this.#incoming)
    const { disk } = this.#s
    if (disk.outstanding <= MAX_WRITES) return this.#ask()
    this.#retryAt = Infinity
    this.#firstToken = ++this.#token
    disk.whenDurable(() => {
      if (this.#goal === goal) this.#ask()
    })
  }

  #goOnWith(goal: Goal, incoming: IncomingSnapshot): void {
    const to = this.#sourceId(goal)
    this.#retryAt = this.#s.now + RETRY_MS
    for (let chunk = incoming.next(); chunk !== undefined; chunk = incoming.next()) this.#putChunk(to, incoming, chunk)
    // All that was asked for is here, and waits for the disk.
    if (incoming.missing().length === 0) this.#retryAt = Infinity
  }

  /** This source cannot: the next one; when none can, the goal fails with what the last one said. */
  #nextSource(reason: Refused['reason']): void {
    const goal = this.#goal!
    this.#refusals++
    // A source that does not serve now may do so in a moment.
    if (reason === 'notServing') return
    if (this.#refusals >= goal.sources.length) return this.#fail(reason, `no source has it (${reason})`)
    this.#source++
    this.#ask()
  }

  #fail(reason: Refused['reason'] | 'invalid', detail: string): void {
    const goal = this.#goal!
    this.stop()
    goal.failed(reason, detail)
  }

  /** The snapshot is whole: it replaces log and state in one atomic write; the promise is kept. */
  #install({ ownId, origin }: IncomingSnapshot): void {
    const s = this.#s
    const { index, chunks, totalBytes } = origin
    const lineage = lineageBelow(origin.lineage, index)
    const header = { snapshotId: ownId, index, lineage, chunks, totalBytes, digest: s.rules.digest }
    let rebuilt: Rebuilt | undefined
    if (!this.#isSound(() => (rebuilt = this.#rebuild?.finish(header)))) return
    this.#incoming = undefined
    this.stop()
    s.meta = { ...s.meta, lineage }
    s.write(
      [
        { kind: 'snapshotCommit', header },
        { kind: 'cutSuffix', from: 0 },
        { kind: 'meta', meta: s.meta },
      ],
      -1,
    )
    s.event('transferDone', { how: 'full', index, bytes: totalBytes })
    s.reloadWhenDurable(rebuilt)
  }
}
