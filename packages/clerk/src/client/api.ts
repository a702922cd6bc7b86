// What the layers above see of a clerk, and what a clerk needs from its surroundings (PRODUCT SDK, PROTOCOL 6).
import type {
  AbortSignalLike,
  Change,
  ClerkId,
  ClientToConfig,
  ClientToReplica,
  Clock,
  ConfigToClient,
  Configuration,
  CoppiceError,
  Dialer,
  Epoch,
  GroupName,
  Index,
  Millis,
  Outcome,
  Random,
  ReplicaToClient,
  RequestId,
} from '@coppice/protocol'

/** Of any one call. */
export interface CallOptions {
  /** Aborting it ends the call with an AbortError; what was sent already is skipped in the background. */
  readonly signal?: AbortSignalLike | undefined
  /** Covers the whole call: waiting, connecting, retries. Default: the clerk's. */
  readonly timeoutMs?: number | undefined
}

/** Of one read. */
export interface ReadOptions extends CallOptions {
  /** `primary`: only there. `any` (default): the clerk's read replica, equally linearizable. */
  readonly from?: 'any' | 'primary' | undefined
  /** True: whatever the replica has at hand, without lease or commit wait, also below this clerk's own writes. */
  readonly stale?: boolean | undefined
}

/** An answer with what is known about its place in time. */
export interface ReadAnswer {
  readonly bytes: Uint8Array
  /** For stale reads: how long ago the replica last knew itself current, ms; 0 otherwise. */
  readonly ageMs: number
  readonly epoch: Epoch
  /** Index below which everything that the answer depends on lies. */
  readonly minIndex: Index
}

/** Names one request; a CoppiceError is one. */
export interface RequestName {
  readonly requestId: RequestId | undefined
  readonly clerkId: ClerkId | undefined
}

/** What became of a request. `reply` is there if it was applied and its reply is small and was kept. */
export interface Resolution {
  readonly outcome: Outcome
  readonly reply?: Uint8Array
}

/**
 * Makes a value of an answer: [start, end) of `buffer`, which is valid during this call only. What it throws fails the user's call; a promise
 * settles the call as it settles itself.
 */
export type Decode<T, C = undefined> = (
  buffer: Uint8Array,
  start: number,
  end: number,
  context: C,
) => T | PromiseLike<T>

/** Memory in which the next operation is written. */
export interface Space {
  /** Makes room for so many bytes; they begin at the answered place of `buffer` and are nobody's until a call takes them. */
  begin(bytes: number): number
  /** Where `begin` has made room; another one after each `begin`. */
  readonly buffer: Uint8Array
}

/**
 * The hot path of portable clients: operations are written where they are sent from, answers are read where they arrived.
 * What was written into `operations` (`queries`) from its last `begin` up to `end` becomes the operation (query).
 * Otherwise the same as `submit` and `read`.
 */
export interface DirectCalls {
  readonly operations: Space
  readonly queries: Space
  submit<T, C>(end: number, decode: Decode<T, C>, context: C, options?: CallOptions): Promise<T>
  read<T, C>(end: number, decode: Decode<T, C>, context: C, options?: ReadOptions): Promise<T>
}

/** Which changes: those of `stream` whose topic is `topic`, or begins with it. */
export interface WatchFilter {
  readonly stream: number
  readonly topic: Uint8Array
  readonly exact: boolean
  /** First index of interest; 0 (default): from now on, which is told by the first `synced`. */
  readonly from?: Index | undefined
  /** Bytes that are sent before any are consumed; one larger change goes alone. Default 1 MiB, at most 16 MiB. */
  readonly windowBytes?: number | undefined
}

/** Who is told of changes, in their order, each once. It must not throw. */
export interface WatchHandler {
  /**
   * Changes; their bytes are the handler's. All of the watch's changes below `next` were told by then, and of entry `next` itself, perhaps,
   * the first ones.
   */
  changes(batch: readonly Change[], next: Index): void
  /** It has caught up with everything committed below `next`; told seldom, and first when it has caught up for the first time. */
  synced?(next: Index): void
  /**
   * It is over: COMPACTED (a CompactedError: changes it wanted are kept no more), CLOSED, OVERLOADED (there are too many watches),
   * WRONG_CLUSTER or PROTOCOL_VERSION. Nothing else ends a watch: replicas and epochs come and go, it goes on.
   */
  end(error: CoppiceError): void
}

/** A watch that is open. */
export interface WatchHandle {
  /** Ends it; nothing is told afterwards, not even `end`. Idempotent. */
  close(): void
  /** So many bytes (the sum of `size`) of what was told are done with. Who never says so is told the window's bytes and then nothing more. */
  consumed(bytes: number): void
}

/**
 * The clerk as portable clients (kv, locks, cache, bank) take it. Every failure is a CoppiceError.
 * Bytes given in must not be changed until the call has settled; bytes given out are the caller's.
 */
export interface ClerkLike {
  readonly clock: Clock
  readonly random: Random
  /** Timeout of calls that name none, ms. */
  readonly timeoutMs: number
  /** clerkId of the session for small operations; 0 until it is registered. */
  readonly clerkId: ClerkId
  /** The newest configuration this clerk has learned. */
  readonly configuration: Configuration | undefined
  /** Only clerks for users in a hurry have it; see `directOf`. */
  readonly direct?: DirectCalls
  /** Same as clock.now(). */
  now(): Millis
  /**
   * Applies `operation` exactly once and resolves with the machine's reply. Calls of one turn travel together. When more than
   * maxInFlight are under way the call waits its turn; it does not throw. The bytes must not change before that: they may be sent again.
   * Errors: TIMEOUT, UNAVAILABLE, OVERLOADED, ABORTED, CLOSED, SESSION_EXPIRED, INVALID_ARGUMENT; TOO_LARGE with outcome `applied`
   * when it was applied but its reply was too large to be kept for the repetition that asked for it.
   */
  submit(operation: Uint8Array, options?: CallOptions): Promise<Uint8Array>
  /** A linearizable read (unless `stale`): sees everything this clerk wrote. */
  read(query: Uint8Array, options?: ReadOptions): Promise<Uint8Array>
  /** The same with age and index of the answer. */
  readAnswer(query: Uint8Array, options?: ReadOptions): Promise<ReadAnswer>
  /**
   * What became of a request of this clerk that ended with outcome `unknown`: give the error, or its requestId. Waits for the
   * Skip's reply. The newest 1,024 fates are remembered; an older one is `unknown`.
   */
  resolve(request: RequestId | RequestName, options?: CallOptions): Promise<Resolution>
  /**
   * Tells `handler` of every committed change of a topic or a prefix, once and in order, through crashes and reconfigurations. Throws
   * CLOSED, TOO_LARGE (the topic) and OVERLOADED (more than 10,000 watches of one clerk).
   */
  watch(filter: WatchFilter, handler: WatchHandler): WatchHandle
  /** Fails open calls and watches with CLOSED; afterwards no link, timer or listener of it is left. */
  close(): Promise<void>
}

/** Everything outside; the simulator passes its own. */
export interface ClerkPorts {
  readonly clock: Clock
  readonly random: Random
  readonly configDialer: Dialer<ClientToConfig, ConfigToClient>
  readonly replicaDialer: Dialer<ClientToReplica, ReplicaToClient>
  /** Told when the clerk begins and ends to have open calls; the shell keeps the process alive meanwhile. */
  readonly hold?: ((busy: boolean) => void) | undefined
}

/** Of a clerk over any ports. */
export interface ClerkOptions {
  /** Addresses (host:port) of some config servers; more are learned. */
  readonly configServers: readonly string[]
  /** Default `main`. */
  readonly group?: GroupName | undefined
  /** Default 10,000. */
  readonly timeoutMs?: number | undefined
  /** Requests under way at once, per session; default 1,024, at most CLERK_WINDOW. */
  readonly maxInFlight?: number | undefined
  /** Bytes of them; a larger operation goes alone. Default 16 MiB. */
  readonly maxInFlightBytes?: number | undefined
  /** Where this clerk stands: it reads at a replica of this zone while it can. Default: nowhere in particular. */
  readonly zone?: string | undefined
  /** Silence of a server that owes answers after which the clerk looks elsewhere, ms. Default 1,000. */
  readonly silenceMs?: number | undefined
}
