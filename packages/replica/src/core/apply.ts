// Applies entries to the state: machine and exactly-once table together, the same at primary, backup, transfer and recovery
// (PROTOCOL 5 R5, 6). What it does depends on nothing but the entries before.
import {
  assert,
  DecodeError,
  MAX_MESSAGE_BYTES,
  MAX_STORED_REPLY_BYTES,
  Reader,
  RECORD_HEADER_BYTES,
  REPLY_FORGOTTEN,
  REPLY_OK,
  Writer,
  entriesOf,
  readRun,
  readU32,
  writeU32,
} from '@coppice/protocol'
import type { Index, Millis, RecordHeader, RequestId } from '@coppice/protocol'
import { skippedReplies } from './clerk-session.js'
import type { ClerkSession, Segment, Split } from './clerk-session.js'
import type { ClerkTable } from './exactly-once.js'
import type { ChangeLog } from './change-log.js'
import type { StateMachine } from './state-machine.js'

export class Applier {
  readonly #machine: StateMachine
  readonly #table: ClerkTable
  readonly #changes: ChangeLog
  readonly #out = new Writer(64 * 1024)
  readonly #split: Split = { problem: '', staleTo: 0, knownTo: 0, newTo: 0 }
  /** Replies of the run applied last, in full; they differ from what is stored only where one was too large to keep. */
  fullReplies: Uint8Array = new Uint8Array(0)

  constructor(machine: StateMachine, table: ClerkTable, changes: ChangeLog) {
    this.#machine = machine
    this.#changes = changes
    this.#table = table
  }

  /** Applies a whole record, which follows the state at once. The header was checked. */
  record(header: RecordHeader, bytes: Uint8Array): void {
    const r = new Reader(bytes, RECORD_HEADER_BYTES)
    let index = header.firstIndex
    try {
      while (r.at < r.end) {
        const run = readRun(r)
        switch (run.kind) {
          case 'requests': {
            const session = this.#table.get(run.clerkId)
            // Unknown clerk: never create one; its entries do nothing.
            if (session !== undefined) {
              const { firstRequestId, count, firstIncomplete, opsStart } = run
              this.requests(session, index, header.elapsedMs, firstRequestId, count, firstIncomplete, bytes, opsStart)
            }
            break
          }
          case 'register':
            this.#table.register(index, header.elapsedMs, bytes, run.nonceStart)
            break
          case 'skip': {
            const session = this.#table.get(run.clerkId)
            if (session !== undefined)
              this.skip(session, index, header.elapsedMs, run.from, run.to, run.firstIncomplete)
            break
          }
          case 'touch':
            for (const clerkId of run.clerkIds) this.#table.touch(clerkId, header.elapsedMs)
            break
          case 'expire':
            for (const clerkId of run.clerkIds) this.#table.remove(clerkId)
            break
          case 'barrier':
            break
          case 'tick':
            this.tick(index, header.elapsedMs)
            break
        }
        index += entriesOf(run)
      }
    } catch (error) {
      // The CRC was right: whoever wrote this wrote nonsense, and half of it is applied.
      if (error instanceof DecodeError) assert(false, `record at ${header.firstIndex}: ${error.message}`)
      throw error
    }
    assert(index === header.firstIndex + header.entries, 'a record holds as many entries as its header says')
  }

  /**
   * Executes a run of requests whose entries begin at `index`. Returns the stored replies of what was executed; undefined: nothing
   * was, and the entries change nothing.
   */
  requests(
    session: ClerkSession,
    index: Index,
    elapsedMs: Millis,
    first: RequestId,
    count: number,
    firstIncomplete: RequestId,
    buffer: Uint8Array,
    opsStart: number,
  ): Segment | undefined {
    const split = this.#split
    session.split(first, count, firstIncomplete, split)
    if (split.problem !== '' || split.knownTo >= split.newTo) return undefined
    this.#table.willChange(session)
    session.lastSeenMs = elapsedMs
    session.forgetBelow(firstIncomplete)
    const { knownTo, newTo } = split
    const out = this.#out
    out.reset()
    let at = opsStart
    let tooLarge = false
    for (let id = first; id < newTo; id++) {
      const n = readU32(buffer, at)
      if (id >= knownTo) {
        const head = out.grow(5)
        this.#changes.index = index + (id - first)
        this.#machine.apply(index + (id - first), elapsedMs, buffer, at + 4, at + 4 + n, out, this.#changes)
        const length = out.length - head - 5
        if (length > MAX_STORED_REPLY_BYTES && out.length > MAX_MESSAGE_BYTES) {
          // It would not be stored anyway. A run of small operations must not make more replies than memory holds, for then it would
          // stop every replica that applies it.
          out.length = head + 5
          out.buffer[head] = REPLY_FORGOTTEN
          writeU32(out.buffer, head + 1, 0)
        } else {
          out.buffer[head] = REPLY_OK
          writeU32(out.buffer, head + 1, length)
          if (length > MAX_STORED_REPLY_BYTES) tooLarge = true
        }
      }
      at += 4 + n
    }
    this.fullReplies = out.take()
    const bytes = tooLarge ? withoutLargeReplies(this.fullReplies) : this.fullReplies
    const segment: Segment = {
      first: knownTo,
      count: newTo - knownTo,
      index: index + (knownTo - first),
      step: 1,
      bytes,
    }
    session.add(segment)
    return segment
  }

  /** The machine learns the log's time. */
  tick(index: Index, elapsedMs: Millis): void {
    this.#changes.index = index
    this.#machine.tick?.(index, elapsedMs, this.#changes)
  }

  /** Skip(from..to): what was not executed before never will be. */
  skip(
    session: ClerkSession,
    index: Index,
    elapsedMs: Millis,
    from: RequestId,
    to: RequestId,
    firstIncomplete: RequestId,
  ): Segment | undefined {
    const split = this.#split
    session.split(from, to - from + 1, firstIncomplete, split)
    if (split.problem !== '' || split.knownTo >= split.newTo) return undefined
    this.#table.willChange(session)
    session.lastSeenMs = elapsedMs
    session.forgetBelow(firstIncomplete)
    const count = split.newTo - split.knownTo
    const segment: Segment = { first: split.knownTo, count, index, step: 0, bytes: skippedReplies(count) }
    session.add(segment)
    return segment
  }
}

/** The replies as they are stored: a large one is only remembered to have been given. */
function withoutLargeReplies(full: Uint8Array): Uint8Array {
  const w = new Writer(1024)
  for (let at = 0; at < full.length;) {
    const n = readU32(full, at + 1)
    const large = n > MAX_STORED_REPLY_BYTES
    w.u8(large ? REPLY_FORGOTTEN : full[at]!)
    w.u32(large ? 0 : n)
    if (!large) w.rawRange(full, at + 5, at + 5 + n)
    at += 5 + n
  }
  return w.take()
}
