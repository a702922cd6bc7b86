// Admission (PROTOCOL 5 R1, R4, R5; 6): the primary checks a clerk's frame, gives indexes and fills the open record. What
// it holds is due to be applied; replies wait in `PendingReplies` for their commit.
import {
  MAX_RECORD_BYTES,
  MAX_RECORD_ENTRIES,
  MAX_UNCOMMITTED_BYTES,
  MAX_UNCOMMITTED_OPERATIONS,
  FREE_DISK_WATERMARK_BYTES,
  readU32,
} from '@coppice/protocol'
import type {
  ClerkId,
  ConnectionId,
  Index,
  Millis,
  RegisterMessage,
  RequestId,
  RequestsMessage,
  SkipMessage,
} from '@coppice/protocol'
import type { ClerkSession, Segment, Split } from './clerk-session.js'
import { HeldFrames } from './held-frames.js'
import type { Lease } from './lease.js'
import { MachineTime } from './machine-time.js'
import type { OpenRecord } from './open-record.js'
import type { PendingReplies } from './pending-replies.js'
import { movedMessage, refusedMessage, storedReplies } from './replies.js'
import type { Replication } from './replication.js'
import type { Shared } from './shared.js'
import type { WritesByZone } from './writes-by-zone.js'

export class Primary {
  readonly machineTime: MachineTime
  readonly #s: Shared
  readonly #open: OpenRecord
  readonly #replication: Replication
  readonly #pending: PendingReplies
  readonly #lease: Lease
  readonly #writes: WritesByZone
  readonly #held = new HeldFrames()
  readonly #split: Split = { problem: '', staleTo: 0, knownTo: 0, newTo: 0 }
  /** The log's time goes on from the last inherited entry: elapsedMs = now + this. */
  #elapsedOffset: Millis = 0

  constructor(
    shared: Shared,
    open: OpenRecord,
    replication: Replication,
    pending: PendingReplies,
    lease: Lease,
    writes: WritesByZone,
  ) {
    this.#s = shared
    this.#writes = writes
    this.#open = open
    this.#replication = replication
    this.#pending = pending
    this.#lease = lease
    this.machineTime = new MachineTime(shared, this)
  }

  /** The epoch was activated with this server as primary. */
  begin(): void {
    const s = this.#s
    const epoch = s.meta.epoch
    // Another incarnation proposed in this epoch: its records may be anywhere. Reports say so (cannotLead).
    if (s.recovered.meta.claim === epoch) return
    // Claim durable before the first proposal (PROTOCOL 2.7): it came with ENTER, which must be durable before an activation is taken.
    if (s.meta.claim === epoch) return this.#lead(epoch)
    // The store entered before ENTER claimed.
    s.writeMeta({ claim: epoch }, () => {
      if (s.meta.epoch === epoch && s.running) this.#lead(epoch)
    })
  }

  #lead(epoch: number): void {
    const s = this.#s
    s.leading = true
    this.#writes.begin()
    this.#elapsedOffset = s.log.elapsedMs - s.now
    this.#replication.begin(s.meta.start)
    this.#replication.advanceCommit()
    s.event('primaryClaimed', { epoch, start: s.meta.start })
  }

  /** A clerk's run of requests: what is known is answered, what is new is admitted, the rest refused with the reason. */
  onRequests(connection: ConnectionId, m: RequestsMessage): void {
    if (this.#mayPropose() && this.#held.hold(connection, m, this.#uncommittedBytes)) return
    this.#admitHeldOf(m.clerkId)
    this.#onRequests(connection, m)
  }

  /** Something changed: large requests that waited are admitted as far as they fit now, or all are answered by one that may not propose. */
  admitHeld(): void {
    // This server will lead the next epoch, too: they wait for that.
    if (this.#s.draining && this.#s.drain?.target === this.#s.options.id) return
    while (this.#held.size > 0) {
      const frame = this.#held.next(this.#uncommittedBytes, !this.#mayPropose())
      if (frame === undefined) return
      this.#onRequests(frame.connection, frame.message)
    }
  }

  clientGone(connection: ConnectionId): void {
    this.#held.clientGone(connection)
  }

  #admitHeldOf(clerkId: ClerkId): void {
    if (this.#held.size === 0) return
    for (const frame of this.#held.takeOf(clerkId)) this.#onRequests(frame.connection, frame.message)
  }

  get #uncommittedBytes(): number {
    return this.#replication.tail.bytes + this.#open.length
  }

  #onRequests(connection: ConnectionId, m: RequestsMessage): void {
    const s = this.#s
    if (!this.#mayPropose())
      return s.reply(connection, movedMessage(s, 'requests', m.clerkId, m.firstRequestId, m.count))
    const session = s.tableFor(m.clerkId).get(m.clerkId)
    if (session === undefined) return this.#refuseUnknown(connection, 'requests', m.clerkId, m.firstRequestId, m.count)
    session.connection = connection
    this.machineTime.beforeOperations()
    const first = m.firstRequestId
    const end = first + m.count
    session.split(first, m.count, m.firstIncomplete, this.#split)
    const { problem, staleTo, knownTo, newTo } = this.#split
    if (problem !== '') {
      const refusal = refusedMessage(s, 'requests', m.clerkId, first, m.count, problem)
      return s.reply(connection, { ...refusal, expected: session.maxApplied + 1 })
    }
    if (staleTo > first) s.reply(connection, refusedMessage(s, 'requests', m.clerkId, first, staleTo - first, 'stale'))
    if (knownTo > staleTo) this.#answerKnown(connection, session, staleTo, knownTo)
    if (newTo > knownTo) this.#admit(connection, session, m, knownTo, newTo)
    if (newTo < end) s.reply(connection, refusedMessage(s, 'requests', m.clerkId, newTo, end - newTo, 'window'))
  }

  /** Skip(from..to): never refused for load, for it is how a clerk learns what became of a request. */
  onSkip(connection: ConnectionId, m: SkipMessage): void {
    this.#admitHeldOf(m.clerkId)
    const s = this.#s
    const count = m.to - m.from + 1
    if (!this.#mayPropose()) return s.reply(connection, movedMessage(s, 'skip', m.clerkId, m.from, count))
    const session = s.table.get(m.clerkId)
    if (session === undefined) return this.#refuseUnknown(connection, 'skip', m.clerkId, m.from, count)
    session.connection = connection
    session.split(m.from, count, m.firstIncomplete, this.#split)
    const { problem, staleTo, knownTo, newTo } = this.#split
    if (problem !== '') {
      const refusal = refusedMessage(s, 'skip', m.clerkId, m.from, count, problem)
      return s.reply(connection, { ...refusal, expected: session.maxApplied + 1 })
    }
    if (staleTo > m.from) s.reply(connection, refusedMessage(s, 'skip', m.clerkId, m.from, staleTo - m.from, 'stale'))
    if (knownTo > staleTo) this.#answerKnown(connection, session, staleTo, knownTo)
    if (newTo > knownTo) {
      this.#room(0)
      const index = s.log.nextIndex
      const segment = s.applier.skip(session, index, this.#open.elapsedMs, knownTo, newTo - 1, m.firstIncomplete)
      this.#open.skip(m.clerkId, knownTo, newTo - 1, m.firstIncomplete)
      s.log.nextIndex = index + 1
      if (segment !== undefined) this.#answerNew(connection, session.clerkId, segment, segment.bytes)
    }
    if (newTo <= m.to) s.reply(connection, refusedMessage(s, 'skip', m.clerkId, newTo, m.to + 1 - newTo, 'window'))
  }

  /** Register: the same nonce gets the same id, as soon as its entry is committed. */
  onRegister(connection: ConnectionId, m: RegisterMessage): void {
    const s = this.#s
    if (!this.#mayPropose()) return s.reply(connection, movedMessage(s, 'register', 0, 0, 1))
    const nonce = m.nonce.slice()
    const known = s.table.registeredAs(nonce, 0)
    if (known !== undefined) {
      known.connection = connection
      const { clerkId } = known
      return this.#pending.addDuplicate(clerkId, connection, {
        kind: 'registered',
        nonce,
        clerkId,
        epoch: s.meta.epoch,
      })
    }
    // R4: refused before an index is assigned.
    if (!this.#hasRoom(1, nonce.length)) {
      return s.reply(connection, refusedMessage(s, 'register', 0, 0, 1, 'overloaded'))
    }
    this.#room(0)
    const clerkId = s.log.nextIndex
    s.table.register(clerkId, this.#open.elapsedMs, nonce, 0)
    this.#open.register(nonce)
    s.log.nextIndex = clerkId + 1
    s.table.get(clerkId)!.connection = connection
    this.#pending.add(clerkId, connection, { kind: 'registered', nonce, clerkId, epoch: s.meta.epoch })
  }

  /** Appends a barrier and returns its index; undefined when this server may not propose. It is how a read goes through the log. */
  barrier(): Index | undefined {
    if (!this.#mayPropose()) return undefined
    const s = this.#s
    this.#room(0)
    const index = s.log.nextIndex
    this.#open.barrier()
    s.log.nextIndex = index + 1
    return index
  }

  /** Appends a tick: the machine learns the log's time now. */
  machineTick(): void {
    const s = this.#s
    // The entries of a record have one time, and the machine asked for a later one.
    if (this.#open.entries > 0 && this.#open.elapsedMs < this.elapsed()) this.#replication.close()
    this.#room(0)
    const index = s.log.nextIndex
    this.#open.tick()
    s.log.nextIndex = index + 1
    s.due.settle()
    s.applier.tick(index, this.#open.elapsedMs)
  }

  /** Appends one Touch or Expire entry. */
  clerks(kind: 'touch' | 'expire', clerkIds: readonly number[]): void {
    const s = this.#s
    this.#room(0)
    this.#open.clerks(kind, clerkIds)
    s.log.nextIndex++
    for (const id of clerkIds) {
      if (kind === 'touch') s.table.touch(id, this.#open.elapsedMs)
      else s.table.remove(id)
    }
  }

  /** The log's time now. */
  elapsed(): Millis {
    return Math.max(this.#s.log.elapsedMs, Math.floor(this.#s.now + this.#elapsedOffset))
  }

  /** A full disk would stop the log in the middle of an operation. */
  get diskLow(): boolean {
    return this.#s.freeDiskBytes < FREE_DISK_WATERMARK_BYTES
  }

  #mayPropose(): boolean {
    return this.#s.leading && this.#s.running && !this.#s.draining
  }

  #admit(connection: ConnectionId, session: ClerkSession, m: RequestsMessage, from: RequestId, to: RequestId): void {
    const s = this.#s
    const { buffer } = m.ops
    let at = m.ops.start
    for (let id = m.firstRequestId; id < from; id++) at += 4 + readU32(buffer, at)
    // R4: overload is refused before an index is assigned.
    if (!this.#hasRoom(to - from, m.ops.end - at)) {
      return s.reply(connection, refusedMessage(s, 'requests', m.clerkId, from, to - from, 'overloaded'))
    }
    this.#writes.admitted(connection, to - from)
    let id = from
    while (id < to) {
      this.#room(4 + readU32(buffer, at))
      const runFirst = id
      const runStart = at
      const room = MAX_RECORD_BYTES - this.#open.length
      const maxEntries = MAX_RECORD_ENTRIES - this.#open.entries
      const stale = this.#open.elapsedMs < this.elapsed()
      let late = false
      let problem: string | undefined
      while (id < to && id - runFirst < maxEntries) {
        const next = at + 4 + readU32(buffer, at)
        // An operation larger than a record makes a record of its own.
        if (next - runStart > room && id > runFirst) break
        problem = s.rules.validateOperation(buffer, at + 4, next) // R5: what fails validation never enters the log
        if (problem !== undefined) break
        late = stale && s.rules.readsTime?.(buffer, at + 4, next) === true
        if (late) break
        at = next
        id++
      }
      if (id > runFirst) this.#addRun(connection, session, m, runFirst, id - runFirst, runStart, at)
      if (problem !== undefined) return this.#refuseInvalid(connection, m, id, to, problem)
      // The record was begun before this operation arrived, which asks for a time no earlier than that.
      if (late) this.#replication.close()
    }
  }

  #addRun(
    connection: ConnectionId,
    session: ClerkSession,
    m: RequestsMessage,
    first: RequestId,
    count: number,
    start: number,
    end: number,
  ): void {
    const s = this.#s
    const open = this.#open
    const index = s.log.nextIndex
    const { clerkId, firstIncomplete } = m
    const { elapsedMs, contents } = open
    const opsStart = open.requests(clerkId, first, firstIncomplete, count, m.ops.buffer, start, end)
    s.log.nextIndex = index + count
    // The record leaves first.
    s.due.run(clerkId, (applier) => {
      const bytes = contents.closed ?? open.buffer
      const segment = applier.requests(session, index, elapsedMs, first, count, firstIncomplete, bytes, opsStart)
      if (segment !== undefined) this.#answerNew(connection, clerkId, segment, applier.fullReplies)
    })
  }

  #answerNew(connection: ConnectionId, clerkId: ClerkId, segment: Segment, bytes: Uint8Array): void {
    for (const { lastIndex, message } of storedReplies(this.#s, clerkId, segment, bytes))
      this.#pending.add(lastIndex, connection, message)
  }

  /** The clerk learns why, skips the id, and sends the rest again. */
  #refuseInvalid(connection: ConnectionId, m: RequestsMessage, id: RequestId, to: RequestId, problem: string): void {
    const s = this.#s
    const refusal = refusedMessage(s, 'requests', m.clerkId, id, 1, 'invalid')
    s.reply(connection, { ...refusal, expected: id, message: problem })
    if (id + 1 >= to) return
    const rest = refusedMessage(s, 'requests', m.clerkId, id + 1, to - id - 1, 'outOfOrder')
    s.reply(connection, { ...rest, expected: id })
  }

  /** Answers [from, to) from the table, one message for each run they came in. */
  #answerKnown(connection: ConnectionId, session: ClerkSession, from: RequestId, to: RequestId): void {
    for (const segment of session.segments) {
      const first = Math.max(from, segment.first)
      const end = Math.min(to, segment.first + segment.count)
      if (first >= end) continue
      const part = partOf(segment, first, end)
      for (const { lastIndex, message } of storedReplies(this.#s, session.clerkId, part, part.bytes))
        this.#pending.addDuplicate(lastIndex, connection, message)
    }
  }

  /**
   * An unknown clerk is told so only by a primary that is current, and only when what removed it (or a newer primary's log) cannot
   * be undone: with a lease once all is committed, else after a barrier of its own.
   */
  #refuseUnknown(
    connection: ConnectionId,
    of: 'requests' | 'skip',
    clerkId: number,
    first: RequestId,
    count: number,
  ): void {
    const s = this.#s
    s.due.settle()
    const refusal = refusedMessage(s, of, clerkId, first, count, 'sessionExpired')
    const index = this.#lease.valid(s.now) ? s.log.nextIndex - 1 : this.barrier()!
    if (index < s.commitIndex) s.reply(connection, refusal)
    else this.#pending.add(index, connection, refusal)
  }

  /** Makes sure that a record is open and that `bytes` more fit beside what it holds. */
  #room(bytes: number): void {
    const s = this.#s
    const open = this.#open
    if (open.entries > 0 && (open.length + bytes > MAX_RECORD_BYTES || open.entries >= MAX_RECORD_ENTRIES)) {
      this.#replication.close()
    }
    if (open.entries === 0) open.begin(s.log.nextIndex, this.elapsed(), s.now)
  }

  #hasRoom(operations: number, bytes: number): boolean {
    const s = this.#s
    if (this.diskLow) return false
    const uncommitted = s.log.nextIndex - s.commitIndex
    if (uncommitted + operations > MAX_UNCOMMITTED_OPERATIONS) return false
    // An operation larger than the window goes alone.
    return uncommitted === 0 || this.#uncommittedBytes + bytes <= MAX_UNCOMMITTED_BYTES
  }
}

function partOf(segment: Segment, first: RequestId, end: RequestId): Segment {
  if (first === segment.first && end === segment.first + segment.count) return segment
  let at = 0
  let start = 0
  for (let id = segment.first; id < end; id++) {
    if (id === first) start = at
    at += 5 + readU32(segment.bytes, at + 1)
  }
  const index = segment.index + segment.step * (first - segment.first)
  return { first, count: end - first, index, step: segment.step, bytes: segment.bytes.subarray(start, at) }
}
