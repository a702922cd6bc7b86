// One clerk as every replica knows it (PROTOCOL 6): what was executed, and the replies that may still be asked for.
import { CLERK_WINDOW, NONCE_BYTES, REPLY_SKIPPED } from '@coppice/protocol'
import type { ClerkId, ConnectionId, Index, Millis, RequestId, Reader, Writer } from '@coppice/protocol'

/** Stored replies of consecutive requests of one run: count × (u8 status · u32 length · bytes). Never changed once made. */
export interface Segment {
  readonly first: RequestId
  readonly count: number
  /** Index of the first request's entry. */
  readonly index: Index
  /** 1: each request has an entry of its own; 0: one Skip entry decided them all. */
  readonly step: 0 | 1
  readonly bytes: Uint8Array
}

/** How a run [first, first + count) of a clerk falls apart; the same at admission and at apply. */
export interface Split {
  /** Why nothing of it can be taken: '' = it can. */
  problem: '' | 'behind' | 'outOfOrder'
  /** [first, staleTo): the clerk itself said these are complete. */
  staleTo: RequestId
  /** [staleTo, knownTo): decided before; the stored replies answer. */
  knownTo: RequestId
  /** [knownTo, newTo): to be executed. [newTo, first + count): beyond the window. */
  newTo: RequestId
}

const NO_CONNECTION: ConnectionId = -1

export class ClerkSession {
  readonly clerkId: ClerkId
  /** Latin1 of the Register's nonce. */
  readonly nonce: string
  /** Every request up to here was executed or skipped. */
  maxApplied: RequestId = 0
  /** Replies below are forgotten; at most maxApplied + 1. */
  firstIncomplete: RequestId = 1
  /** Log time of its newest entry. */
  lastSeenMs: Millis
  segments: Segment[] = []
  /** Number of the capture that has this clerk already. */
  capturedIn = 0
  /** Where it was heard last at this server; not part of the state. */
  connection: ConnectionId = NO_CONNECTION

  constructor(clerkId: ClerkId, nonce: string, lastSeenMs: Millis) {
    this.clerkId = clerkId
    this.nonce = nonce
    this.lastSeenMs = lastSeenMs
  }

  /** Splits a run by the rules of PROTOCOL 6; fills `out`. Changes nothing. */
  split(first: RequestId, count: number, firstIncomplete: RequestId, out: Split): void {
    const end = first + count
    const next = this.maxApplied + 1
    const low = Math.max(this.firstIncomplete, firstIncomplete)
    out.staleTo = out.knownTo = out.newTo = first
    // The clerk has replies to requests that are unknown here: this replica is behind.
    out.problem = firstIncomplete > next ? 'behind' : first > next ? 'outOfOrder' : ''
    if (out.problem !== '') return
    out.staleTo = clamp(low, first, end) // requestId < firstIncomplete: stale
    out.knownTo = clamp(next, out.staleTo, end) // de-duplication: requestId ≤ maxApplied is never executed again
    out.newTo = clamp(low + CLERK_WINDOW, out.knownTo, end) // requestId ≥ firstIncomplete + W: refused
  }

  /** Forgets replies below `firstIncomplete`; a run's replies go together. */
  forgetBelow(firstIncomplete: RequestId): void {
    if (firstIncomplete <= this.firstIncomplete) return
    this.firstIncomplete = firstIncomplete
    let n = 0
    while (n < this.segments.length && this.segments[n]!.first + this.segments[n]!.count <= firstIncomplete) n++
    if (n > 0) this.segments.splice(0, n)
  }

  add(segment: Segment): void {
    this.segments.push(segment)
    this.maxApplied = Math.max(this.maxApplied, segment.first + segment.count - 1)
  }

  write(w: Writer, nonceBytes: Uint8Array): void {
    w.u53(this.clerkId)
    w.raw(nonceBytes)
    w.u53(this.maxApplied)
    w.u53(this.firstIncomplete)
    w.u53(this.lastSeenMs)
    w.u32(this.segments.length)
    for (const s of this.segments) {
      w.u53(s.first)
      w.u32(s.count)
      w.u53(s.index)
      w.u8(s.step)
      w.bytes(s.bytes)
    }
  }

  static read(r: Reader, latin1: (b: Uint8Array, start: number, end: number) => string): ClerkSession {
    const clerkId = r.u53()
    const at = r.skip(NONCE_BYTES)
    const session = new ClerkSession(clerkId, latin1(r.buffer, at, at + NONCE_BYTES), 0)
    session.maxApplied = r.u53()
    session.firstIncomplete = r.u53()
    session.lastSeenMs = r.u53()
    const n = r.u32()
    for (let i = 0; i < n; i++) {
      const first = r.u53()
      const count = r.u32()
      const index = r.u53()
      const step = r.u8() === 0 ? 0 : 1
      session.segments.push({ first, count, index, step, bytes: r.bytes().slice() })
    }
    return session
  }
}

function clamp(value: number, low: number, high: number): number {
  return value < low ? low : value > high ? high : value
}

/** The stored replies of requests that a Skip reached first. */
export function skippedReplies(count: number): Uint8Array {
  const bytes = new Uint8Array(count * 5)
  for (let i = 0; i < count; i++) bytes[i * 5] = REPLY_SKIPPED
  return bytes
}
