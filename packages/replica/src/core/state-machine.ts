// The four verbs of a replicated state machine (Grove §3): apply, read, getState, setState. Deterministic and synchronous; it never
// looks at a clock, at randomness or at anything but its arguments (R5).
import type { Index, Millis, Writer } from '@coppice/protocol'

/** A consistent image of the state at the moment of `getState`, given out in pieces while apply goes on. */
export interface StateCapture {
  /**
   * The next piece, about `maxBytes` long (one value may make it longer); undefined at the end. Never takes over 5 ms. The bytes are
   * lent until the next call.
   */
  next(maxBytes: number): Uint8Array | undefined
  /** Ends the capture early or late; idempotent. */
  release(): void
}

/** The hash of the state at the moment of `hashing`, taken in slices while apply goes on. */
export interface StateHashing {
  /** Takes the next slice, of a few milliseconds at the most; false: all is taken. */
  next(): boolean
  /** The hash, once all is taken. */
  readonly value: string
  /** Ends it early or late; idempotent. */
  release(): void
}

/** Takes the pieces of a capture in their order. The machine answers nothing until `finish`. */
export interface StateLoader {
  /** The bytes are the caller's again afterwards. Throws DecodeError on malformed input. */
  add(piece: Uint8Array): void
  finish(): void
}

/**
 * Where a machine says what an entry changed, for those who watch. Watchers choose by stream and topic; what they get is every committed
 * change once, in the order of the log. The bytes are copied.
 */
export interface ChangeSink {
  /**
   * One change. `stream`: 0–255, a family of topics that the machine names. `kind`: 0–255, the machine's word for what happened. `topic` and
   * `payload`: byte ranges; a watcher gets both.
   */
  change(
    stream: number,
    kind: number,
    topic: Uint8Array,
    topicStart: number,
    topicEnd: number,
    payload: Uint8Array,
    payloadStart: number,
    payloadEnd: number,
  ): void
}

/** What of a machine does not depend on its state. */
export interface MachineRules {
  /** Names the machine and the version of its semantics; members with different digests never share a log (D1). */
  readonly digest: string
  /** Why the operation in [start, end) may not enter the log, or undefined. Depends on the bytes only, never on the state. */
  validateOperation(buffer: Uint8Array, start: number, end: number): string | undefined
  /**
   * Whether what this valid operation does depends on the log's time: then its entry is stamped with no time before it arrived. All entries of a
   * record have the time at which that was begun, so an older one is closed first. No such method: no operation does.
   */
  readsTime?(buffer: Uint8Array, start: number, end: number): boolean
  /** Why the query in [start, end) cannot be answered, or undefined. */
  validateQuery(buffer: Uint8Array, start: number, end: number): string | undefined
}

/**
 * What is replicated: deterministic, synchronous, without a clock or randomness. Every member applies the same operations in the same order.
 */
export interface StateMachine extends MachineRules {
  /**
   * Applies the operation of entry `index` and writes its reply to `out`. Never throws on user data: the entry is durable at all
   * members by then, and would stop them again at every recovery. The bytes are a view that
   * is overwritten later: what is kept must be copied.
   * `elapsedMs` is the log's time: milliseconds since genesis, the same at every replica, never going back.
   */
  apply(
    index: Index,
    elapsedMs: Millis,
    buffer: Uint8Array,
    start: number,
    end: number,
    out: Writer,
    changes: ChangeSink,
  ): void
  /**
   * When the machine wants to be told the log's time next; Infinity or no such field: never. Asked after every apply and tick, so it must
   * be cheap. The primary then logs an entry of its own: what ends by time ends at one index, identically everywhere.
   */
  readonly dueAt?: Millis
  /** The log's time is `elapsedMs` at entry `index`. Does a bounded amount of work; whatever is left over keeps `dueAt` in the past. */
  tick?(index: Index, elapsedMs: Millis, changes: ChangeSink): void
  /**
   * Answers a query from the present state and returns the version of what was read: the index of the newest entry the answer
   * depends on (also when it says that nothing is there); 0: never written. An upper bound is allowed: the read waits longer.
   */
  read(buffer: Uint8Array, start: number, end: number, out: Writer): Index
  /** Begins a capture. One at a time. */
  getState(): StateCapture
  /** Discards the state and begins to load another. */
  setState(): StateLoader
  /** Hash of the whole state, for comparing members at one index (I9). */
  hash(): string
  /** The same hash, in slices. No such method: `hash` is called, and everything else waits for it. */
  hashing?(): StateHashing
}
