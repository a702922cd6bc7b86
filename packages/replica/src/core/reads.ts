// Reads at any replica (PROTOCOL 4). In one step: the lease is checked by a clock read after the request arrived, the answer is
// taken from the local state with everything accepted, and dep = 1 + version; it leaves when commitIndex ≥ dep in the same epoch.
// Without a lease the right to answer comes from a ping round, else from a barrier in the log.
import {
  MAX_MESSAGE_BYTES,
  MAX_PAGE_BYTES,
  MAX_WAITING_READ_BYTES,
  MAX_WAITING_READS,
  MAX_RECORD_BYTES,
  Writer,
  ownOps,
  readU32,
  writeU32,
} from '@coppice/protocol'
import type { ConnectionId, Epoch, Index, Millis, ReadsMessage, RefusalReason } from '@coppice/protocol'
import type { Lease } from './lease.js'
import { Ping } from './ping.js'
import type { PingOutcome } from './ping.js'
import type { Primary } from './primary.js'
import { refusedMessage } from './replies.js'
import type { Shared } from './shared.js'

/** Reads whose right to be answered is not shown yet. The queries are copied: frames do not outlive their step. */
interface Asked {
  readonly connection: ConnectionId
  readonly message: ReadsMessage
}
/** Answers of some reads of one frame. */
interface Answers {
  readonly connection: ConnectionId
  readonly firstReadId: number
  readonly count: number
  readonly epoch: Epoch
  readonly minIndex: Index
  readonly ageMs: Millis
  readonly answers: Uint8Array
}
/** Answers that wait for their commit. */
interface Waiting extends Answers {
  readonly dep: Index
  readonly deadline: Millis
  /** Offsets of the answers, for a refusal. */
  readonly offsets: readonly number[]
}

export class Reads {
  readonly #s: Shared
  readonly #lease: Lease
  readonly #primary: Primary
  readonly ping: Ping<Asked>
  readonly #ready = new Writer(64 * 1024)
  readonly #later = new Writer(4 * 1024)
  #waiting: Waiting[] = []
  #waitingReads = 0
  #waitingBytes = 0
  /** When this replica last knew itself current: the age of stale answers. */
  #currentAt: Millis = -Infinity

  constructor(shared: Shared, lease: Lease, primary: Primary) {
    this.#s = shared
    this.#lease = lease
    this.#primary = primary
    this.ping = new Ping<Asked>(shared, (outcome, asked) => this.#onRound(outcome, asked))
  }

  onReads(connection: ConnectionId, m: ReadsMessage): void {
    const s = this.#s
    // Read-your-writes, even where A1 fails: the clerk has seen more than this replica holds.
    if (m.minEpoch > s.meta.epoch || m.minIndex > s.log.nextIndex) return this.#refuse(connection, m, 'behind')
    if (s.reloading) return this.#refuse(connection, m, 'retry')
    // A learner between two states: members have one.
    if (s.stateless) return this.#refuse(connection, m, 'moved')
    const leased = this.#lease.valid(s.now) // (a) a clock read after the request arrived
    if (leased) this.#currentAt = s.now
    if (m.stale) return this.#answer(connection, m, leased ? 0 : s.now - this.#currentAt)
    if (leased) return this.#answer(connection, m, 0)
    // Sealed without a lease: the epoch ends, and only the next can show who is current.
    if (s.activated && s.sealed) return this.#refuse(connection, m, 'retry')
    if (!s.activated || !this.#stillChosen()) return this.#refuse(connection, m, 'moved')
    if (this.#full(m.count)) return this.#refuse(connection, m, 'overloaded')
    const ops = ownOps(m.ops)
    this.#waitingReads += m.count
    this.#waitingBytes += ops.end
    this.ping.join({ connection, message: { ...m, ops } })
  }

  /** The commit index rose: what waited for it leaves. */
  release(): void {
    if (this.#waiting.length === 0) return
    const { commitIndex } = this.#s
    const waiting = this.#waiting
    let kept = 0
    for (const w of waiting) {
      if (commitIndex < w.dep) waiting[kept++] = w
      else {
        this.#forget(w)
        this.#send(w) // (c) commitIndex ≥ dep
      }
    }
    waiting.length = kept
  }

  /** The replica was sealed or its epoch changed: what waits may never be committed here. */
  endEpoch(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const w of waiting) this.#giveUp(w)
    this.ping.abort()
  }

  clientGone(connection: ConnectionId): void {
    const gone = this.#waiting.filter((w) => w.connection === connection)
    if (gone.length === 0) return
    this.#waiting = this.#waiting.filter((w) => w.connection !== connection)
    for (const w of gone) this.#forget(w)
  }

  get wakeAt(): Millis {
    return Math.min(this.ping.wakeAt, this.#waiting[0]?.deadline ?? Infinity)
  }

  tick(): void {
    this.ping.tick()
    const { now } = this.#s
    if (this.#waiting.length === 0 || this.#waiting[0]!.deadline > now) return
    const late = this.#waiting.filter((w) => w.deadline <= now)
    this.#waiting = this.#waiting.filter((w) => w.deadline > now)
    for (const w of late) this.#giveUp(w)
  }

  /** A ping round ended. Its reads are answered from the state of this moment, which is after their arrival. */
  #onRound(outcome: PingOutcome, asked: readonly Asked[]): void {
    const s = this.#s
    for (const { connection, message } of asked) {
      this.#waitingReads -= message.count
      this.#waitingBytes -= message.ops.end
      if (outcome === 'confirmed') {
        this.#answer(connection, message, 0)
        continue
      }
      // Sealed here or elsewhere: the epoch ends.
      if (outcome === 'refused' || !s.running) {
        this.#refuse(connection, message, 'retry')
        continue
      }
      // The read as an operation: a barrier that commits proves that this epoch still ran when it was appended.
      const barrier = this.#primary.barrier()
      if (barrier !== undefined) this.#answer(connection, message, 0, barrier + 1)
      // Only the primary can do that.
      else this.#refuse(connection, message, 'moved')
    }
    if (outcome === 'confirmed') this.#currentAt = s.now
  }

  /** (b): answers from the local state, each with dep = 1 + version; what is committed leaves now, the rest when it is. */
  #answer(connection: ConnectionId, m: ReadsMessage, ageMs: Millis, atLeast: Index = 0): void {
    const s = this.#s
    const { epoch } = s.meta
    const { firstReadId } = m
    const ready = this.#ready
    const later = this.#later
    ready.reset()
    later.reset()
    let offsets: number[] = []
    let readyCount = 0
    let readyDep = 0
    let laterDep = 0
    let bytes = 0
    const sendReady = (): void => {
      const answers = taken(ready)
      // What they show holds at the commit index, too: a watch goes on from there without a gap.
      const minIndex = Math.max(readyDep, s.commitIndex)
      this.#send({ connection, firstReadId, count: readyCount, epoch, minIndex, ageMs, answers })
      ready.reset()
      readyCount = readyDep = 0
    }
    const keepLater = (): void => {
      const some = { connection, firstReadId, count: offsets.length, epoch, minIndex: laterDep, ageMs, offsets }
      this.#wait({ ...some, answers: taken(later), dep: laterDep, deadline: s.now + s.params.failMs })
      later.reset()
      offsets = []
      laterDep = 0
    }
    let at = m.ops.start
    for (let i = 0; i < m.count; i++) {
      // One frame of small queries may ask for more than memory holds; what is refused comes again.
      if (bytes > MAX_MESSAGE_BYTES) {
        s.reply(connection, refusedMessage(s, 'reads', 0, firstReadId + i, m.count - i, 'overloaded'))
        break
      }
      const start = at + 4
      at = start + readU32(m.ops.buffer, at)
      const problem = s.rules.validateQuery(m.ops.buffer, start, at)
      if (problem !== undefined) {
        this.#refuseOne(connection, m, i, problem)
        continue
      }
      const head = ready.grow(8)
      const version = s.machine.read(m.ops.buffer, start, at, ready)
      writeU32(ready.buffer, head, i)
      writeU32(ready.buffer, head + 4, ready.length - head - 8)
      bytes += ready.length - head
      const dep = Math.max(1 + version, atLeast) // dep = 1 + version: the entry itself must be committed
      if (s.commitIndex >= dep) {
        readyCount++
        if (dep > readyDep) readyDep = dep
        // A message stays far below what a connection takes.
        if (ready.length > MAX_PAGE_BYTES) sendReady()
      } else {
        later.rawRange(ready.buffer, head, ready.length)
        ready.length = head
        offsets.push(i)
        if (dep > laterDep) laterDep = dep
        if (later.length > MAX_PAGE_BYTES) keepLater()
      }
    }
    if (readyCount > 0) sendReady()
    if (offsets.length > 0) keepLater()
  }

  /** What waits must be able to be committed here: a sealed log is frozen. */
  #wait(w: Waiting): void {
    if (this.#s.sealed) return this.#refuseSome(w.connection, w.firstReadId, w.offsets, 'retry')
    if (this.#full(w.count)) return this.#refuseSome(w.connection, w.firstReadId, w.offsets, 'overloaded')
    this.#waitingReads += w.count
    this.#waitingBytes += w.answers.length
    this.#waiting.push(w)
  }

  #send(a: Answers): void {
    const { connection, firstReadId, count, epoch, minIndex, ageMs, answers } = a
    const replies = { buffer: answers, start: 0, end: answers.length }
    this.#s.reply(connection, { kind: 'readReplies', firstReadId, count, epoch, minIndex, ageMs, replies })
  }

  #giveUp(w: Waiting): void {
    this.#forget(w)
    this.#refuseSome(w.connection, w.firstReadId, w.offsets, 'retry')
  }

  #forget(w: Waiting): void {
    this.#waitingReads -= w.count
    this.#waitingBytes -= w.answers.length
  }

  #full(more: number): boolean {
    return this.#waitingReads + more > MAX_WAITING_READS || this.#waitingBytes > MAX_WAITING_READ_BYTES
  }

  /** Whether the newest configuration heard of still has the own epoch. */
  #stillChosen(): boolean {
    return (this.#s.configuration?.epoch ?? 0) <= this.#s.meta.epoch
  }

  #refuse(connection: ConnectionId, m: ReadsMessage, reason: RefusalReason): void {
    this.#s.reply(connection, refusedMessage(this.#s, 'reads', 0, m.firstReadId, m.count, reason))
  }

  #refuseOne(connection: ConnectionId, m: ReadsMessage, offset: number, problem: string): void {
    const refusal = refusedMessage(this.#s, 'reads', 0, m.firstReadId + offset, 1, 'invalid')
    this.#s.reply(connection, { ...refusal, message: problem })
  }

  /** Refuses the reads at `offsets`, neighbours in one message. */
  #refuseSome(connection: ConnectionId, firstReadId: number, offsets: readonly number[], reason: RefusalReason): void {
    for (let i = 0; i < offsets.length;) {
      let n = 1
      while (i + n < offsets.length && offsets[i + n] === offsets[i]! + n) n++
      this.#s.reply(connection, refusedMessage(this.#s, 'reads', 0, firstReadId + offsets[i]!, n, reason))
      i += n
    }
  }
}

/** What was written; large answers are given away with their buffer, for a copy of them would hold up everything else. */
function taken(w: Writer): Uint8Array {
  return w.length > MAX_RECORD_BYTES ? w.giveAway(4 * 1024) : w.take()
}
