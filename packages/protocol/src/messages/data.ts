// Data-plane messages: what clerks, primary and backups exchange for operations and reads (PROTOCOL 4–6). Hand-encoded by
// data-codec.ts; a batch travels as a byte range and is decoded once, by whoever works on its operations.
import type { ClerkId, Epoch, Index, NodeId, RequestId } from '../ids.js'

/** count × (u32 length · operation) inside `buffer` at [start, end). A view of a received frame: valid for one step only. */
export interface Ops {
  readonly buffer: Uint8Array
  readonly start: number
  readonly end: number
}

/** The same operations in bytes of their own, for whoever keeps them beyond the step they were lent for. */
export function ownOps({ buffer, start, end }: Ops): Ops {
  return { buffer: buffer.slice(start, end), start: 0, end: end - start }
}

/** Clerk → primary: a run of consecutive requests of one clerk. `epoch`: the configuration the clerk believes in. */
export interface RequestsMessage {
  readonly kind: 'requests'
  readonly clerkId: ClerkId
  readonly firstRequestId: RequestId
  /** All requests below are complete at the clerk: their replies may be forgotten. */
  readonly firstIncomplete: RequestId
  readonly count: number
  readonly ops: Ops
}
/** Clerk → primary: make me a clerkId. The same nonce gets the same id. */
export interface RegisterMessage {
  readonly kind: 'register'
  readonly nonce: Uint8Array
}
/** Clerk → primary: these ids will not be sent again; what executed answers, the rest becomes a no-op. Inclusive range. */
export interface SkipMessage {
  readonly kind: 'skip'
  readonly clerkId: ClerkId
  readonly from: RequestId
  readonly to: RequestId
  readonly firstIncomplete: RequestId
}
/** Clerk → any replica: a batch of reads, ids firstReadId, firstReadId + 1, … */
export interface ReadsMessage {
  readonly kind: 'reads'
  readonly firstReadId: number
  /** Refused as `behind` by a replica that has not reached this epoch or nextIndex (read-your-writes). */
  readonly minEpoch: Epoch
  readonly minIndex: Index
  /** 1: stale answers allowed (no lease, no commit wait). */
  readonly stale: boolean
  readonly count: number
  readonly ops: Ops
}
/**
 * Clerk → any replica of the epoch: tell me of every change of `stream` whose topic is `topic` (exact) or begins with it, in order, once
 * it is committed. A watchId that is used already is begun anew.
 */
export interface WatchMessage {
  readonly kind: 'watch'
  /** The clerk's name for it on this connection. */
  readonly watchId: number
  readonly stream: number
  readonly exact: boolean
  readonly topic: Uint8Array
  /** First index of interest; 0: from now on. */
  readonly from: Index
  /** Bytes that may be sent before more credit comes. */
  readonly credit: number
}
/** Clerk → replica: nothing more of this watch. */
export interface UnwatchMessage {
  readonly kind: 'unwatch'
  readonly watchId: number
}
/** Clerk → replica: so many bytes of its changes were consumed. */
export interface CreditMessage {
  readonly kind: 'credit'
  readonly watchId: number
  readonly bytes: number
}
/** What a clerk says to a replica on the data path. */
export type ClerkToReplica =
  RequestsMessage | RegisterMessage | SkipMessage | ReadsMessage | WatchMessage | UnwatchMessage | CreditMessage

/** What became of one request in `replies`. */
export const REPLY_OK = 0 // executed; the bytes are the machine's reply
/** Of one request in `replies`: a Skip reached it first: not applied, and never will be. */
export const REPLY_SKIPPED = 1 // a Skip reached it first: not applied, and never will be
/** Of one request in `replies`: executed, but its reply was too large to keep. */
export const REPLY_FORGOTTEN = 2 // executed, but its reply was too large to keep (applied)

/** Replica → clerk: replies of consecutive requests: count × (u8 status · u32 length · bytes). */
export interface RepliesMessage {
  readonly kind: 'replies'
  readonly clerkId: ClerkId
  readonly firstRequestId: RequestId
  readonly count: number
  /** The replying primary's epoch, and the index below which these requests lie: minEpoch / minIndex of later reads. */
  readonly epoch: Epoch
  readonly minIndex: Index
  readonly replies: Ops
}
/** Primary → clerk: the clerkId for a nonce. */
export interface RegisteredMessage {
  readonly kind: 'registered'
  readonly nonce: Uint8Array
  readonly clerkId: ClerkId
  readonly epoch: Epoch
}

/** Why a request, a read or a registration was not accepted. Nothing of it was or will be executed because of this frame. */
export type RefusalReason =
  | 'moved' // not the primary of an active epoch; `primary` and `epoch` say who is, as far as known
  | 'outOfOrder' // `expected` is the next requestId this clerk must send
  | 'stale' // requestId < firstIncomplete as the cluster knows it: the clerk itself said it is complete
  | 'window' // beyond firstIncomplete + W
  | 'overloaded' // too much in flight, or the disk is full; try again later
  | 'sessionExpired' // unknown clerk
  | 'behind' // this replica has not reached minEpoch / minIndex, or the clerk's own firstIncomplete
  | 'retry' // the epoch ended, or the lease did, while the read waited
  | 'invalid' // the operation or query failed validation; `message` says why
  | 'tooLarge'
/** Replica → clerk: the requests from `firstId` on (count of them) were refused. */
export interface RefusedMessage {
  readonly kind: 'refused'
  readonly of: 'requests' | 'register' | 'skip' | 'reads'
  /** 0 when `of` is register or reads. */
  readonly clerkId: ClerkId
  /** First refused requestId or readId. */
  readonly firstId: number
  readonly count: number
  readonly reason: RefusalReason
  /** For outOfOrder: the requestId to send next. Otherwise 0. */
  readonly expected: RequestId
  readonly epoch: Epoch
  readonly primary: NodeId | ''
  readonly message: string
}
/** Replica → clerk: answers of some reads of a frame: count × (u32 offset from firstReadId · u32 length · bytes). */
export interface ReadRepliesMessage {
  readonly kind: 'readReplies'
  readonly firstReadId: number
  readonly count: number
  readonly epoch: Epoch
  /** Index below which everything these answers depend on lies. */
  readonly minIndex: Index
  /** For stale reads: how long ago this replica last knew itself current, ms; 0 otherwise. */
  readonly ageMs: number
  readonly replies: Ops
}
/**
 * Replica → clerk: changes of a watch, in the layout of changes.ts. All of its changes below `next` are told by now; of entry `next` itself
 * those in this message are the first ones. Without changes: it has caught up with all that is committed.
 */
export interface ChangesMessage {
  readonly kind: 'changes'
  readonly watchId: number
  readonly epoch: Epoch
  readonly next: Index
  readonly changes: Ops
}
/** Why a replica tells a watch nothing more. */
export type WatchEndReason =
  | 'compacted' // what it wants next is kept no more; `floor` says from where on everything is
  | 'moved' // this replica is no part of the group any more, or cannot tell: go on at another one
  | 'overloaded' // too many watches here
/** Replica → clerk: this watch is over here. */
export interface WatchEndMessage {
  readonly kind: 'watchEnd'
  readonly watchId: number
  readonly epoch: Epoch
  readonly reason: WatchEndReason
  /** For compacted; otherwise 0. */
  readonly floor: Index
}
/** What a clerk hears from a replica on the data path. */
export type ReplicaToClerk =
  RepliesMessage | RegisteredMessage | RefusedMessage | ReadRepliesMessage | ChangesMessage | WatchEndMessage

/** Primary → backup (R1): one record, and how far the primary has committed. */
export interface AppendMessage {
  readonly kind: 'append'
  readonly epoch: Epoch
  readonly prevIndex: Index // first index of the record
  readonly prevEntryEpoch: Epoch // epoch of entry prevIndex − 1
  readonly commitIndex: Index
  readonly record: Uint8Array
}
/** Backup → primary (R2): everything below durableIndex is on this disk; `holds` are received ranges above it. */
export interface AppendAckMessage {
  readonly kind: 'appendAck'
  readonly epoch: Epoch
  readonly durableIndex: Index
  readonly nextIndex: Index
  readonly holds: readonly (readonly [from: Index, to: Index])[]
}
/** Primary → backup (C1): commit alone, and the primary's heartbeat. */
export interface CommitMessage {
  readonly kind: 'commit'
  readonly epoch: Epoch
  readonly commitIndex: Index
  /** The primary's nextIndex: a backup that has less asks for resend by its ack. */
  readonly nextIndex: Index
}
/** Any member → every member: are you unsealed in this epoch, with its activation known? (lease-less read) */
export interface PingMessage {
  readonly kind: 'ping'
  readonly epoch: Epoch
  readonly round: number
}
/** Answer to a ping. */
export interface PongMessage {
  readonly kind: 'pong'
  readonly epoch: Epoch
  readonly round: number
  readonly ok: boolean
}
/** What primary and backups say to each other for operations and reads (PROTOCOL 4, 5). */
export type ReplicaToReplicaData = AppendMessage | AppendAckMessage | CommitMessage | PingMessage | PongMessage
