// The log as the core sees it: where it begins and ends, and how many bytes lie where (PROTOCOL 5, 7). The bytes are on disk; the
// primary keeps those that some member may still need in `Tail`.
import { assert, GENESIS_NEXT } from '@coppice/protocol'
import type { Index, Millis } from '@coppice/protocol'

export class Log {
  /** First index the log on disk can ship. */
  base: Index = GENESIS_NEXT
  /** Index of the next entry: everything below is applied. */
  nextIndex: Index = GENESIS_NEXT
  /** Index of the newest committed snapshot: the state can be rebuilt at or above it; 1: from nothing. */
  snapshotIndex: Index = GENESIS_NEXT
  /** Bytes of that snapshot. */
  snapshotBytes = 0
  /** The log's time: elapsedMs of the newest record. */
  elapsedMs: Millis = 0
  /** Bytes of all records behind `base`, and of those at or above the snapshot. */
  #bytes = 0
  #bytesAtSnapshot = 0
  /** Every so many bytes: [first index of a record, bytes before it]; for cutting behind a snapshot. */
  #marks: (readonly [Index, number])[] = []
  readonly #markEvery: number

  constructor(minLogBytesKept: number) {
    this.#markEvery = Math.max(1, Math.floor(minLogBytesKept / 64))
  }

  /** A record of `bytes` bytes was appended behind the others. */
  appended(firstIndex: Index, end: Index, bytes: number, elapsedMs: Millis): void {
    assert(end >= this.nextIndex && firstIndex <= this.nextIndex, 'records follow each other without a gap')
    const last = this.#marks[this.#marks.length - 1]
    if (last === undefined || this.#bytes - last[1] >= this.#markEvery) this.#marks.push([firstIndex, this.#bytes])
    this.#bytes += bytes
    this.nextIndex = end
    if (elapsedMs > this.elapsedMs) this.elapsedMs = elapsedMs
  }

  /** A record found below the snapshot at recovery: it can be shipped, and is not applied. */
  foundBelowSnapshot(firstIndex: Index, bytes: number): void {
    const last = this.#marks[this.#marks.length - 1]
    if (last === undefined) this.base = firstIndex
    if (last === undefined || this.#bytes - last[1] >= this.#markEvery) this.#marks.push([firstIndex, this.#bytes])
    this.#bytes += bytes
    this.#bytesAtSnapshot = this.#bytes
  }

  /** Bytes of the records that the log can ship. */
  get bytesKept(): number {
    return this.#bytes - (this.#marks[0]?.[1] ?? this.#bytes)
  }

  get bytesSinceSnapshot(): number {
    return this.#bytes - this.#bytesAtSnapshot
  }

  /** Bytes written when a capture begins; given back to `snapshotCommitted`. */
  get bytesWritten(): number {
    return this.#bytes
  }

  /** A snapshot of `bytes` bytes, begun when `bytesWritten` were written, is the one to recover from. */
  snapshotCommitted(index: Index, bytes: number, bytesWritten: number): void {
    this.snapshotIndex = index
    this.snapshotBytes = bytes
    this.#bytesAtSnapshot = bytesWritten
  }

  /** The highest index at which the log may be cut so that at least `keep` bytes remain; never above the snapshot. */
  cutPoint(keep: number): Index {
    let cut = this.base
    for (const [index, before] of this.#marks) {
      if (index > this.snapshotIndex || this.#bytes - before < keep) break
      cut = index
    }
    return cut
  }

  cutBelow(index: Index): void {
    this.base = index
    this.#marks = this.#marks.filter(([at]) => at >= index)
  }
}

/** One closed record, shared by the disk, the append messages and a resend. */
export interface TailRecord {
  readonly firstIndex: Index
  readonly end: Index
  readonly bytes: Uint8Array
  /** When it was closed: for the report of an operation that does not commit. */
  closedAt: Millis
  /** Bytes uncommitted before it then. */
  readonly bytesBefore: number
}

/** The primary's records that are not committed yet: all that any member can lack (R3), bounded by R4. */
export class Tail {
  bytes = 0
  #records: TailRecord[] = []
  #head = 0

  push(record: TailRecord): void {
    this.#records.push(record)
    this.bytes += record.bytes.length
  }

  trim(commitIndex: Index): void {
    while (this.#head < this.#records.length && this.#records[this.#head]!.end <= commitIndex) {
      this.bytes -= this.#records[this.#head]!.bytes.length
      this.#head++
    }
    if (this.#head > 64 && this.#head * 2 > this.#records.length) {
      this.#records = this.#records.slice(this.#head)
      this.#head = 0
    }
  }

  get count(): number {
    return this.#records.length - this.#head
  }

  get oldest(): TailRecord | undefined {
    return this.#records[this.#head]
  }

  /** Bytes of the records from `index` on. */
  bytesFrom(index: Index): number {
    let bytes = 0
    for (let i = this.#records.length - 1; i >= this.#head && this.#records[i]!.end > index; i--) {
      bytes += this.#records[i]!.bytes.length
    }
    return bytes
  }

  /** Records from `index` on, oldest first. */
  from(index: Index): readonly TailRecord[] {
    let i = this.#head
    while (i < this.#records.length && this.#records[i]!.end <= index) i++
    return this.#records.slice(i)
  }

  forgive(sleptMs: Millis): void {
    for (let i = this.#head; i < this.#records.length; i++) this.#records[i]!.closedAt += sleptMs
  }

  clear(): void {
    this.#records = []
    this.#head = 0
    this.bytes = 0
  }
}
