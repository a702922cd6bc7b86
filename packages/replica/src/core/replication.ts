// The primary's side of replication (PROTOCOL 5 R1–R3): closed records go to the own disk and to every backup at once; what is
// lost is sent again; the commit index is the least durable index over all members.
import { FRAGMENT_BYTES, RangeCounter, SLOWEST_BYTES_PER_MS } from '@coppice/protocol'
import type { AppendAckMessage, AppendMessage, Index, Millis, NodeId, Sender } from '@coppice/protocol'
import { Tail } from './log.js'
import type { TailRecord } from './log.js'
import type { OpenRecord } from './open-record.js'
import type { Shared } from './shared.js'

/** Records not committed yet before the open one waits and grows: what a batch costs everybody is paid for more operations. */
const RECORDS_IN_FLIGHT = 2
/** A smaller record waits for all before it: alone it would cost three disks and five wake-ups for next to nothing. */
const WORTHY_ENTRIES = 24
/** A record that has grown so far waits for nobody. */
const FULL_RECORD_BYTES = 128 * 1024
/** Without progress of a backup for so long its holes are sent again, ms. */
const RESEND_AFTER_MS = 200
/** A link takes so many bytes in a millisecond unless something holds it up; what is on its way is not sent again before that. */
const RESEND_BYTES_PER_MS = 16 * 1024
/** Without any progress the pause doubles so often: a slow link must not be filled with copies. */
const MAX_DOUBLINGS = 3
/** Bytes sent again at a time to one backup. */
const RESEND_BYTES = 4 * 1024 * 1024
/** An idle primary says so every so often, ms. */
const HEARTBEAT_MS = 75

interface Backup {
  readonly id: NodeId
  /** On its disk, as it acked. */
  durable: Index
  /** In its log, and out of order above it, as it acked. */
  readonly received: RangeCounter
  resendAt: Millis
  /** Resends since its last progress. */
  resends: number
  /** When its log or its disk last came nearer to ours, or when there was nothing to come nearer to. */
  progressAt: Millis
  sentAt: Millis
  sentCommit: Index
}

export class Replication {
  readonly tail = new Tail()
  readonly #s: Shared
  readonly #open: OpenRecord
  #backups: Backup[] = []
  /** End of what was closed and sent. */
  #closedTo: Index = 0

  constructor(shared: Shared, open: OpenRecord) {
    this.#s = shared
    this.#open = open
  }

  /** The epoch begins to run under this primary: all members hold exactly [0, start), durably, by their ENTER. */
  begin(start: Index): void {
    const s = this.#s
    this.stop()
    this.#closedTo = s.log.nextIndex
    const backup = (id: NodeId): Backup => {
      const rest = { resendAt: Infinity, resends: 0, progressAt: s.now, sentAt: -Infinity, sentCommit: 0 }
      return { id, durable: start, received: new RangeCounter(start), ...rest }
    }
    this.#backups = s.members.filter((id) => id !== s.options.id).map(backup)
  }

  stop(): void {
    this.#backups = []
    this.tail.clear()
  }

  get wantsFlush(): boolean {
    if (!this.#s.leading || this.#s.sealed) return false
    return this.#mayClose || this.#owesCommit
  }

  /** End of turn: the batch is closed unless enough is under way; a commit that nothing will carry soon goes alone (C1). */
  flush(): void {
    const s = this.#s
    if (!s.leading || s.sealed) return
    if (this.#mayClose) this.close()
    if (!this.#owesCommit) return
    for (const b of this.#backups) if (b.sentCommit < s.commitIndex) this.#sendCommit(b)
  }

  get #mayClose(): boolean {
    if (this.#open.entries === 0) return false
    const inFlight = this.#open.entries < WORTHY_ENTRIES ? 1 : RECORDS_IN_FLIGHT
    return this.tail.count < inFlight || this.#open.length >= FULL_RECORD_BYTES
  }

  /** The pipeline is empty: no append will carry the commit. While it is not, one will, or what is under way commits and this is asked again. */
  get #owesCommit(): boolean {
    if (this.tail.count > 0 || this.#open.entries > 0) return false
    for (const b of this.#backups) if (b.sentCommit < this.#s.commitIndex) return true
    return false
  }

  /** Closes the open record: to the own disk and, unless sealed, to every backup. */
  close(): void {
    const s = this.#s
    const { entries, firstIndex, elapsedMs } = this.#open
    if (entries === 0) return
    const end = firstIndex + entries
    const bytes = this.#open.close(s.meta.epoch)
    s.log.appended(firstIndex, end, bytes.length, elapsedMs)
    s.write([{ kind: 'record', firstIndex, entries, bytes }], end)
    const record: TailRecord = { firstIndex, end, bytes, closedAt: s.now, bytesBefore: this.tail.bytes }
    for (const b of this.#backups) if (b.durable >= firstIndex) b.progressAt = s.now
    this.tail.push(record)
    this.#closedTo = end
    if (s.sealed) return
    const message = this.#append(record)
    for (const b of this.#backups) {
      if (b.received.low >= firstIndex || b.resendAt === Infinity) this.#resendLater(b)
      this.#sendAppend(b, message)
    }
  }

  onAck(from: Sender, m: AppendAckMessage): void {
    const s = this.#s
    // R2: an ack of another epoch says nothing about this one's log.
    if (!s.leading || s.sealed || m.epoch !== s.meta.epoch || !s.isMember(from)) return
    const b = this.#backups.find((x) => x.id === from.id)
    if (b === undefined) return
    const progress = m.nextIndex > b.received.low || m.durableIndex > b.durable
    b.durable = Math.max(b.durable, m.durableIndex)
    // R1: it may end lower than it said before, for a restart takes what only memory held; that is sent again. An ack that is merely
    // late costs a repetition at the most.
    b.received.reset(Math.max(m.nextIndex, b.durable), m.holds)
    if (progress) {
      b.progressAt = s.now
      b.resends = 0
      this.#resendLater(b)
    }
    this.advanceCommit()
  }

  /** Raises the commit index as far as the members' disks allow. */
  advanceCommit(): void {
    const s = this.#s
    if (!s.leading || s.sealed) return
    let least = s.disk.durableIndex
    for (const b of this.#backups) if (b.durable < least) least = b.durable // R3: commit is the least durable index over ALL members
    if (least > s.commitIndex) s.commitIndex = least
    this.tail.trim(s.commitIndex)
  }

  get wakeAt(): Millis {
    if (!this.#s.leading || this.#s.sealed) return Infinity
    let at = Infinity
    for (const b of this.#backups)
      at = Math.min(at, b.sentAt + HEARTBEAT_MS, b.received.low < this.#closedTo ? b.resendAt : Infinity)
    return at
  }

  tick(): void {
    const s = this.#s
    if (!s.leading || s.sealed) return
    for (const b of this.#backups) {
      if (b.received.low < this.#closedTo && s.now >= b.resendAt) this.#resend(b)
      if (s.now >= b.sentAt + HEARTBEAT_MS) this.#sendCommit(b)
    }
  }

  /** Members whose disks the oldest uncommitted operation waits for beyond all patience, and since when it waits. */
  waiting(): { since: Millis; waitingFor: NodeId[] } | undefined {
    const s = this.#s
    const oldest = this.tail.oldest
    if (!s.leading || oldest === undefined) return undefined
    // Bytes that still travel to a disk at an honest rate are no trouble: what was uncommitted before it, and itself, may take their
    // time; a member that does not move at all may take the time of this one record only.
    const { failMs } = s.params
    const late = s.now - oldest.closedAt > failMs + (oldest.bytesBefore + oldest.bytes.length) / SLOWEST_BYTES_PER_MS
    const stuckMs = failMs + oldest.bytes.length / SLOWEST_BYTES_PER_MS
    const waitingFor = this.#backups
      .filter((b) => b.durable < oldest.end && (late || s.now - Math.max(b.progressAt, oldest.closedAt) > stuckMs))
      .map((b) => b.id)
    if (late && s.disk.durableIndex < oldest.end) waitingFor.push(s.options.id)
    return { since: oldest.closedAt, waitingFor }
  }

  #append(record: TailRecord): AppendMessage {
    const s = this.#s
    const prevEntryEpoch = s.epochAt(record.firstIndex - 1)
    const { commitIndex } = s
    return {
      kind: 'append',
      epoch: s.meta.epoch,
      prevIndex: record.firstIndex,
      prevEntryEpoch,
      commitIndex,
      record: record.bytes,
    }
  }

  #sendAppend(b: Backup, message: AppendMessage): void {
    b.sentAt = this.#s.now
    b.sentCommit = message.commitIndex
    this.#s.send(b.id, message)
  }

  #sendCommit(b: Backup): void {
    const s = this.#s
    b.sentAt = s.now
    b.sentCommit = s.commitIndex
    s.send(b.id, { kind: 'commit', epoch: s.meta.epoch, commitIndex: s.commitIndex, nextIndex: this.#closedTo })
  }

  /** R1: sends the holes of a backup, a bounded piece at a time. */
  #resend(b: Backup): void {
    let bytes = 0
    for (const record of this.tail.from(b.received.low)) {
      if (b.received.has(record.firstIndex, record.end)) continue
      if (bytes > 0 && bytes + record.bytes.length > RESEND_BYTES) break
      bytes += record.bytes.length
      this.#sendAppend(b, this.#append(record))
    }
    b.resends++
    this.#resendLater(b)
  }

  /** What it lacks may need as long as its bytes do. */
  #resendLater(b: Backup): void {
    const bytes = this.tail.bytesFrom(b.received.low)
    const factor = bytes <= FRAGMENT_BYTES ? 1 : 2 ** Math.min(b.resends, MAX_DOUBLINGS)
    b.resendAt = this.#s.now + (RESEND_AFTER_MS + bytes / RESEND_BYTES_PER_MS) * factor
  }
}
