// The backup's side of replication (PROTOCOL 5 R1, R2; 4 C1): append in order, make durable, acknowledge what is durable; it is applied then.
import {
  DecodeError,
  FRAGMENT_BYTES,
  MAX_OUT_OF_ORDER_BYTES,
  MAX_OUT_OF_ORDER_OPERATIONS,
  RangeCounter,
  openRecord,
} from '@coppice/protocol'
import type { AppendMessage, CommitMessage, Index, NodeId, RecordHeader, Sender } from '@coppice/protocol'
import type { Shared } from './shared.js'
import type { StateHash } from './state-hash.js'

/** Ranges that an ack tells of; what is above them is sent again. */
const MAX_TOLD_RANGES = 64

interface Early {
  readonly header: RecordHeader
  readonly bytes: Uint8Array
  readonly prevEntryEpoch: number
}

export class Backup {
  readonly #s: Shared
  readonly #hash: StateHash
  /** Records that came before their predecessors, by first index. */
  readonly #early = new Map<Index, Early>()
  #earlyBytes = 0
  /** Entries in the log, and above them those of `#early` (R1: only holes are sent again). */
  readonly #received: RangeCounter
  #ackDue = false
  /** Primary named by the ENTER of an epoch whose activation is not learned yet; its appends wait. */
  #expected: NodeId | '' = ''
  /** A loss is reported once. */
  #alarmed = false

  constructor(shared: Shared, hash: StateHash) {
    this.#s = shared
    this.#hash = hash
    this.#received = new RangeCounter(shared.log.nextIndex, MAX_OUT_OF_ORDER_OPERATIONS)
  }

  /** A new epoch was entered; `primary` will send its appends. */
  expect(primary: NodeId | ''): void {
    this.clear()
    this.#expected = primary
  }

  /** The out-of-order buffer is dropped: at SEAL, and when the epoch changes. */
  clear(): void {
    this.#forgetEarly()
    this.#ackDue = false
  }

  /** The own epoch's activation was learned: what waited for it is appended, and the primary is told where this log ends. */
  activated(): void {
    const s = this.#s
    if (s.primary === s.options.id) return this.clear()
    if (this.#expected !== s.primary) this.clear()
    this.#drain()
    this.#ackDue = true
  }

  onAppend(from: Sender, m: AppendMessage): void {
    const s = this.#s
    // R2: of another epoch, or promised to a newer one: neither appended nor acknowledged.
    if (m.epoch !== s.meta.epoch || s.sealed) return
    // Only the epoch's primary assigns indexes.
    if (s.activated ? from.id !== s.primary || !s.isMember(from) : from.id !== this.#expected) return
    let header: RecordHeader
    try {
      header = openRecord(m.record, s.bytes.crc32)
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      s.event('linkRefused', { from: from.id, reason: error.message })
      return
    }
    // The message and its record must name the same place.
    if (header.epoch !== m.epoch || header.firstIndex !== m.prevIndex || header.entries === 0) return
    const end = header.firstIndex + header.entries
    if (end <= s.log.nextIndex) {
      this.#ackDue = true // a retransmission is re-acked, never an error
    } else if (header.firstIndex >= s.log.nextIndex) {
      this.#keep(header, m)
      if (s.activated) this.#drain()
      // A large one is long on its way to the disk: that it is here is said at once, lest it be sent again.
      if (m.record.length > FRAGMENT_BYTES) this.#ackDue = true
    } else {
      // Records are never split, so half a record in the log means that two logs were mixed.
      s.event('dataLossSuspected', {
        from: from.id,
        index: header.firstIndex,
        reason: 'a record overlaps the end of the log',
      })
    }
    if (s.activated) this.#follow(m.commitIndex)
  }

  onCommit(from: Sender, m: CommitMessage): void {
    const s = this.#s
    if (m.epoch !== s.meta.epoch || s.sealed || from.id !== s.primary || !s.isMember(from)) return
    this.#follow(m.commitIndex)
    // The primary does not know what is here, or has what is not: tell it.
    if (m.nextIndex > s.log.nextIndex || m.commitIndex < s.disk.durableIndex) this.#ackDue = true
  }

  get wantsFlush(): boolean {
    return this.#ackDue && this.#s.running
  }

  flush(): void {
    const s = this.#s
    if (!this.wantsFlush) return
    this.#ackDue = false
    const holds = this.#received.ranges(MAX_TOLD_RANGES)
    const durableIndex = s.disk.durableIndex // R2: only what is durable is acknowledged
    s.send(s.primary, { kind: 'appendAck', epoch: s.meta.epoch, durableIndex, nextIndex: s.log.nextIndex, holds })
  }

  #keep(header: RecordHeader, m: AppendMessage): void {
    const { firstIndex, entries } = header
    const early = firstIndex !== this.#s.log.nextIndex
    // Above the bound it is dropped and sent again later; the next in order is always taken.
    const full = early && this.#earlyBytes + m.record.length > MAX_OUT_OF_ORDER_BYTES
    if (!full && this.#received.add(firstIndex, firstIndex + entries)) {
      this.#early.set(firstIndex, { header, bytes: ownBytes(m.record), prevEntryEpoch: m.prevEntryEpoch })
      this.#earlyBytes += m.record.length
    }
    if (early) this.#ackDue = true
  }

  #forgetEarly(): void {
    this.#early.clear()
    this.#earlyBytes = 0
    this.#received.reset(this.#s.log.nextIndex)
  }

  /** R1: appends and applies only what follows without a gap. */
  #drain(): void {
    const s = this.#s
    for (;;) {
      const next = this.#early.get(s.log.nextIndex)
      if (next === undefined) return
      const { header, bytes } = next
      this.#early.delete(header.firstIndex)
      this.#earlyBytes -= bytes.length
      // R1: the entry before must be of the epoch that the primary says; else two logs share a number for different entries.
      if (next.prevEntryEpoch !== s.epochAt(header.firstIndex - 1)) {
        s.event('dataLossSuspected', {
          index: header.firstIndex,
          reason: 'the entry before is of another epoch at the primary',
        })
        // What came with it rests on it.
        return this.#forgetEarly()
      }
      s.due.record(header, bytes)
      const end = header.firstIndex + header.entries
      s.log.appended(header.firstIndex, end, bytes.length, header.elapsedMs)
      const write = { kind: 'record', firstIndex: header.firstIndex, entries: header.entries, bytes } as const
      s.write([write], end, () => (this.#ackDue = true))
      this.#hash.reached(end)
    }
  }

  /** C1: commit follows the primary's, capped by the own log. */
  #follow(commitIndex: Index): void {
    const s = this.#s
    if (commitIndex > s.log.nextIndex && s.recovered.meta.epoch === s.meta.epoch && !s.acceptedByPrimary) {
      // After a restart: the primary committed with this member's ack what is not here. It stays without leases and is replaced.
      if (!this.#alarmed) s.event('dataLossSuspected', { commitIndex, nextIndex: s.log.nextIndex })
      this.#alarmed = true
      return
    }
    s.acceptedByPrimary = true
    const commit = Math.min(commitIndex, s.log.nextIndex)
    if (commit > s.commitIndex) s.commitIndex = commit
  }
}

/** Bytes that keep little else alive. A large record came in a message of its own, and is nearly all of it. */
function ownBytes(bytes: Uint8Array): Uint8Array {
  return bytes.length > FRAGMENT_BYTES && bytes.length * 2 > bytes.buffer.byteLength ? bytes : bytes.slice()
}
