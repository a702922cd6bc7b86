// Bytes <-> messages. One byte says the kind; control messages follow as JSON and are checked by zod, data messages in the fixed
// layouts below. Decoded data messages are views of the received bytes.
import { z } from 'zod'
import { DecodeError, EMPTY_BYTES, Reader, Writer } from './bytes.js'
import { checkChanges } from './changes.js'
import { MAX_OPERATION_BYTES, MAX_RUN_REQUESTS, MAX_TOPIC_BYTES, MAX_WATCH_WINDOW_BYTES } from './limits.js'
import { checkOps, NONCE_BYTES, RUN_REGISTER, RUN_REQUESTS, RUN_SKIP } from './record.js'
import {
  clientToConfigSchema,
  clientToReplicaControlSchema,
  configToClientSchema,
  configToConfigSchema,
  configToReplicaSchema,
  replicaToClientControlSchema,
  replicaToConfigSchema,
  replicaToReplicaControlSchema,
} from './messages/control.js'
import type { Message } from './messages/index.js'
import type { AppendMessage, ChangesMessage, RefusalReason, WatchEndReason } from './messages/data.js'
import type { LogChunkMessage, SnapshotChunkMessage } from './messages/transfer.js'
import type { LineageEntry } from './lineage.js'

/** The two ends of a link; it decides which messages are known on it. */
export type LinkKind = 'config-config' | 'replica-config' | 'replica-replica' | 'client-config' | 'client-replica'

// Control schemas by link; the receiver accepts either direction's messages and its core refuses what is not for it.
const CONTROL: Record<LinkKind, z.ZodType> = {
  'config-config': configToConfigSchema,
  'replica-config': z.union([replicaToConfigSchema, configToReplicaSchema]),
  'replica-replica': replicaToReplicaControlSchema,
  'client-config': z.union([clientToConfigSchema, configToClientSchema]),
  'client-replica': z.union([clientToReplicaControlSchema, replicaToClientControlSchema]),
}

const KIND_CONTROL = 0
// 1–3 are the run kinds of record.ts: requests, register and skip travel in the layout they have in a record.
const KIND_READS = 16
const KIND_REPLIES = 17
const KIND_REGISTERED = 18
const KIND_REFUSED = 19
const KIND_READ_REPLIES = 20
const KIND_WATCH = 21
const KIND_UNWATCH = 22
const KIND_CREDIT = 23
const KIND_CHANGES = 24
const KIND_WATCH_END = 25
const KIND_APPEND = 32
const KIND_APPEND_ACK = 33
const KIND_COMMIT = 34
const KIND_PING = 35
const KIND_PONG = 36
const KIND_LOG_CHUNK = 48
const KIND_SNAPSHOT_CHUNK = 49

/**
 * Whether whoever gets this message works on its bytes before it returns, or copies them where they are no more than FRAGMENT_BYTES. All
 * others, and values that an app keeps, may be views of the received bytes for as long as they like.
 */
export function isUsedAtOnce(bytes: Uint8Array): boolean {
  switch (bytes[0]) {
    case RUN_REQUESTS:
    case KIND_READS:
    case KIND_APPEND:
    case KIND_APPEND_ACK:
    case KIND_COMMIT:
      return true
    default:
      return false
  }
}

const REASONS: readonly RefusalReason[] = [
  'moved',
  'outOfOrder',
  'stale',
  'window',
  'overloaded',
  'sessionExpired',
  'behind',
  'retry',
  'invalid',
  'tooLarge',
]
const CHANGES_HEAD_BYTES = 1 + 8 + 4 + 8
const APPEND_HEAD_BYTES = 1 + 4 + 8 + 4 + 8
const WATCH_ENDS: readonly WatchEndReason[] = ['compacted', 'moved', 'overloaded']
const REFUSED_OF = ['requests', 'register', 'skip', 'reads'] as const

/** UTF-8 conversion, injected by the runtime because pure code has no TextEncoder. */
export interface TextPort {
  encode(text: string): Uint8Array
  decode(bytes: Uint8Array): string
}

/** Messages that end in bytes which are large and are there already: records of the log, pieces of a snapshot, changes. */
export type BulkMessage = AppendMessage | LogChunkMessage | SnapshotChunkMessage | ChangesMessage

/** The bytes in which a message ends that may be a large one; undefined: it is none of those. */
export function tailOf(message: Message): Uint8Array | undefined {
  switch (message.kind) {
    case 'append':
      return message.record
    case 'logChunk':
      return message.records
    case 'snapshotChunk':
      return message.bytes
    case 'changes':
      return message.changes.buffer.subarray(message.changes.start, message.changes.end)
    default:
      return undefined
  }
}

/** What precedes the tail in the encoded message: a large tail is sent behind it as it is, for a copy of it would hold up everything. */
export function encodeHead(message: BulkMessage, text: TextPort): Uint8Array {
  switch (message.kind) {
    case 'append':
      return encodeMessage({ ...message, record: EMPTY_BYTES }, text)
    case 'logChunk':
      return encodeMessage({ ...message, records: EMPTY_BYTES }, text)
    case 'snapshotChunk':
      return encodeMessage({ ...message, bytes: EMPTY_BYTES }, text)
    case 'changes':
      return encodeMessage({ ...message, changes: { buffer: EMPTY_BYTES, start: 0, end: 0 } }, text)
  }
}

/** Encodes any message; the returned bytes are the caller's. */
export function encodeMessage(message: Message, text: TextPort): Uint8Array {
  switch (message.kind) {
    case 'requests': {
      const n = message.ops.end - message.ops.start
      const w = new Writer(33 + n)
      w.u8(RUN_REQUESTS)
      w.u53(message.clerkId)
      w.u53(message.firstRequestId)
      w.u53(message.firstIncomplete)
      w.u32(message.count)
      w.u32(n)
      w.rawRange(message.ops.buffer, message.ops.start, message.ops.end)
      return w.view()
    }
    case 'register': {
      const w = new Writer(1 + NONCE_BYTES)
      w.u8(RUN_REGISTER)
      w.raw(message.nonce)
      return w.view()
    }
    case 'skip': {
      const w = new Writer(33)
      w.u8(RUN_SKIP)
      w.u53(message.clerkId)
      w.u53(message.from)
      w.u53(message.to)
      w.u53(message.firstIncomplete)
      return w.view()
    }
    case 'reads': {
      const w = new Writer(26 + message.ops.end - message.ops.start)
      w.u8(KIND_READS)
      w.u53(message.firstReadId)
      w.u32(message.minEpoch)
      w.u53(message.minIndex)
      w.u8(message.stale ? 1 : 0)
      w.u32(message.count)
      w.rawRange(message.ops.buffer, message.ops.start, message.ops.end)
      return w.view()
    }
    case 'replies': {
      const w = new Writer(33 + message.replies.end - message.replies.start)
      w.u8(KIND_REPLIES)
      w.u53(message.clerkId)
      w.u53(message.firstRequestId)
      w.u32(message.count)
      w.u32(message.epoch)
      w.u53(message.minIndex)
      w.rawRange(message.replies.buffer, message.replies.start, message.replies.end)
      return w.view()
    }
    case 'registered': {
      const w = new Writer(1 + NONCE_BYTES + 12)
      w.u8(KIND_REGISTERED)
      w.raw(message.nonce)
      w.u53(message.clerkId)
      w.u32(message.epoch)
      return w.view()
    }
    case 'refused': {
      const w = new Writer(96)
      w.u8(KIND_REFUSED)
      w.u8(REFUSED_OF.indexOf(message.of))
      w.u53(message.clerkId)
      w.u53(message.firstId)
      w.u32(message.count)
      w.u8(REASONS.indexOf(message.reason))
      w.u53(message.expected)
      w.u32(message.epoch)
      w.bytes(text.encode(message.primary))
      w.bytes(text.encode(message.message))
      return w.view()
    }
    case 'readReplies': {
      const w = new Writer(29 + message.replies.end - message.replies.start)
      w.u8(KIND_READ_REPLIES)
      w.u53(message.firstReadId)
      w.u32(message.count)
      w.u32(message.epoch)
      w.u53(message.minIndex)
      w.u32(Math.min(Math.ceil(message.ageMs), 0xffff_ffff))
      w.rawRange(message.replies.buffer, message.replies.start, message.replies.end)
      return w.view()
    }
    case 'watch': {
      const w = new Writer(39 + message.topic.length)
      w.u8(KIND_WATCH)
      w.u53(message.watchId)
      w.u8(message.stream)
      w.u8(message.exact ? 1 : 0)
      w.u53(message.from)
      w.u53(message.credit)
      w.bytes(message.topic)
      return w.view()
    }
    case 'unwatch': {
      const w = new Writer(9)
      w.u8(KIND_UNWATCH)
      w.u53(message.watchId)
      return w.view()
    }
    case 'credit': {
      const w = new Writer(17)
      w.u8(KIND_CREDIT)
      w.u53(message.watchId)
      w.u53(message.bytes)
      return w.view()
    }
    case 'changes': {
      const { buffer, start, end } = message.changes
      const w = new Writer(CHANGES_HEAD_BYTES + end - start)
      w.u8(KIND_CHANGES)
      w.u53(message.watchId)
      w.u32(message.epoch)
      w.u53(message.next)
      w.rawRange(buffer, start, end)
      return w.view()
    }
    case 'watchEnd': {
      const w = new Writer(22)
      w.u8(KIND_WATCH_END)
      w.u53(message.watchId)
      w.u32(message.epoch)
      w.u8(WATCH_ENDS.indexOf(message.reason))
      w.u53(message.floor)
      return w.view()
    }
    case 'append': {
      const w = new Writer(APPEND_HEAD_BYTES + message.record.length)
      w.u8(KIND_APPEND)
      w.u32(message.epoch)
      w.u53(message.prevIndex)
      w.u32(message.prevEntryEpoch)
      w.u53(message.commitIndex)
      w.raw(message.record)
      return w.view()
    }
    case 'appendAck': {
      const w = new Writer(25 + message.holds.length * 16)
      w.u8(KIND_APPEND_ACK)
      w.u32(message.epoch)
      w.u53(message.durableIndex)
      w.u53(message.nextIndex)
      w.u32(message.holds.length)
      for (const [from, to] of message.holds) {
        w.u53(from)
        w.u53(to)
      }
      return w.view()
    }
    case 'commit': {
      const w = new Writer(21)
      w.u8(KIND_COMMIT)
      w.u32(message.epoch)
      w.u53(message.commitIndex)
      w.u53(message.nextIndex)
      return w.view()
    }
    case 'ping':
    case 'pong': {
      const w = new Writer(14)
      w.u8(message.kind === 'ping' ? KIND_PING : KIND_PONG)
      w.u32(message.epoch)
      w.u53(message.round)
      if (message.kind === 'pong') w.u8(message.ok ? 1 : 0)
      return w.view()
    }
    case 'logChunk': {
      const w = new Writer(32 + message.records.length)
      w.u8(KIND_LOG_CHUNK)
      w.u53(message.token)
      w.u53(message.from)
      w.u53(message.next)
      w.u8(message.end ? 1 : 0)
      w.raw(message.records)
      return w.view()
    }
    case 'snapshotChunk': {
      const w = new Writer(128 + message.lineage.length * 12 + message.bytes.length)
      w.u8(KIND_SNAPSHOT_CHUNK)
      w.u53(message.token)
      w.bytes(text.encode(message.snapshotId))
      w.u53(message.index)
      w.u32(message.lineage.length)
      for (const [epoch, start] of message.lineage) {
        w.u32(epoch)
        w.u53(start)
      }
      w.u32(message.chunk)
      w.u32(message.chunks)
      w.u53(message.totalBytes)
      w.u32(message.crc)
      w.raw(message.bytes)
      return w.view()
    }
    default: {
      const json = text.encode(JSON.stringify(message))
      const bytes = new Uint8Array(1 + json.length)
      bytes[0] = KIND_CONTROL
      bytes.set(json, 1)
      return bytes
    }
  }
}

/** Decodes one message received on a link of this kind. Throws DecodeError with what is wrong. */
export function decodeMessage(bytes: Uint8Array, link: LinkKind, text: TextPort): Message {
  const r = new Reader(bytes)
  const kind = r.u8()
  if (kind === KIND_CONTROL) return decodeControl(r.rest(), link, text)
  if (link === 'client-replica') return decodeClientReplica(kind, r, text)
  if (link === 'replica-replica') return decodeReplicaReplica(kind, r, text)
  throw new DecodeError(`message kind ${kind} is not known on a ${link} link`)
}

function decodeControl(bytes: Uint8Array, link: LinkKind, text: TextPort): Message {
  let json: unknown
  try {
    json = JSON.parse(text.decode(bytes))
  } catch {
    throw new DecodeError('control message is not JSON')
  }
  const parsed = CONTROL[link].safeParse(json)
  if (parsed.success) return parsed.data as Message
  throw new DecodeError(`control message: ${z.prettifyError(parsed.error)}`)
}

function decodeClientReplica(kind: number, r: Reader, text: TextPort): Message {
  switch (kind) {
    case RUN_REQUESTS: {
      const clerkId = r.u53()
      const firstRequestId = r.u53()
      const firstIncomplete = r.u53()
      const count = countOf(r.u32())
      const n = r.u32()
      const start = r.skip(n)
      r.finish()
      checkOps(r.buffer, start, start + n, count, MAX_OPERATION_BYTES)
      const ops = { buffer: r.buffer, start, end: start + n }
      return { kind: 'requests', clerkId, firstRequestId, firstIncomplete, count, ops }
    }
    case RUN_REGISTER: {
      const at = r.skip(NONCE_BYTES)
      r.finish()
      return { kind: 'register', nonce: r.buffer.slice(at, at + NONCE_BYTES) }
    }
    case RUN_SKIP: {
      const clerkId = r.u53()
      const from = r.u53()
      const to = r.u53()
      const firstIncomplete = r.u53()
      r.finish()
      if (to < from) throw new DecodeError('skip of an empty range')
      return { kind: 'skip', clerkId, from, to, firstIncomplete }
    }
    case KIND_READS: {
      const firstReadId = r.u53()
      const minEpoch = r.u32()
      const minIndex = r.u53()
      const stale = r.u8() !== 0
      const count = countOf(r.u32())
      checkOps(r.buffer, r.at, r.end, count, MAX_OPERATION_BYTES)
      return {
        kind: 'reads',
        firstReadId,
        minEpoch,
        minIndex,
        stale,
        count,
        ops: { buffer: r.buffer, start: r.at, end: r.end },
      }
    }
    case KIND_REPLIES: {
      const clerkId = r.u53()
      const firstRequestId = r.u53()
      const count = r.u32()
      const epoch = r.u32()
      const minIndex = r.u53()
      return {
        kind: 'replies',
        clerkId,
        firstRequestId,
        count,
        epoch,
        minIndex,
        replies: { buffer: r.buffer, start: r.at, end: r.end },
      }
    }
    case KIND_REGISTERED: {
      const at = r.skip(NONCE_BYTES)
      const clerkId = r.u53()
      const epoch = r.u32()
      r.finish()
      return { kind: 'registered', nonce: r.buffer.slice(at, at + NONCE_BYTES), clerkId, epoch }
    }
    case KIND_REFUSED: {
      const of = REFUSED_OF[r.u8()]
      const clerkId = r.u53()
      const firstId = r.u53()
      const count = r.u32()
      const reason = REASONS[r.u8()]
      const expected = r.u53()
      const epoch = r.u32()
      const primary = text.decode(r.bytes())
      const message = text.decode(r.bytes())
      r.finish()
      if (of === undefined || reason === undefined) throw new DecodeError('unknown refusal')
      return { kind: 'refused', of, clerkId, firstId, count, reason, expected, epoch, primary, message }
    }
    case KIND_READ_REPLIES: {
      const firstReadId = r.u53()
      const count = r.u32()
      const epoch = r.u32()
      const minIndex = r.u53()
      const ageMs = r.u32()
      return {
        kind: 'readReplies',
        firstReadId,
        count,
        epoch,
        minIndex,
        ageMs,
        replies: { buffer: r.buffer, start: r.at, end: r.end },
      }
    }
    case KIND_WATCH: {
      const watchId = r.u53()
      const stream = r.u8()
      const exact = r.u8() !== 0
      const from = r.u53()
      const credit = windowOf(r.u53())
      const topic = r.bytes()
      r.finish()
      if (topic.length > MAX_TOPIC_BYTES)
        throw new DecodeError(`topic of ${topic.length} bytes is above the limit of ${MAX_TOPIC_BYTES}`)
      return { kind: 'watch', watchId, stream, exact, topic, from, credit }
    }
    case KIND_UNWATCH: {
      const watchId = r.u53()
      r.finish()
      return { kind: 'unwatch', watchId }
    }
    case KIND_CREDIT: {
      const watchId = r.u53()
      const bytes = r.u53()
      r.finish()
      return { kind: 'credit', watchId, bytes }
    }
    case KIND_CHANGES: {
      const watchId = r.u53()
      const epoch = r.u32()
      const next = r.u53()
      checkChanges(r.buffer, r.at, r.end)
      return { kind: 'changes', watchId, epoch, next, changes: { buffer: r.buffer, start: r.at, end: r.end } }
    }
    case KIND_WATCH_END: {
      const watchId = r.u53()
      const epoch = r.u32()
      const reason = WATCH_ENDS[r.u8()]
      const floor = r.u53()
      r.finish()
      if (reason === undefined) throw new DecodeError('unknown end of a watch')
      return { kind: 'watchEnd', watchId, epoch, reason, floor }
    }
    default:
      throw new DecodeError(`message kind ${kind} is not known between client and replica`)
  }
}

function decodeReplicaReplica(kind: number, r: Reader, text: TextPort): Message {
  switch (kind) {
    case KIND_APPEND: {
      const epoch = r.u32()
      const prevIndex = r.u53()
      const prevEntryEpoch = r.u32()
      const commitIndex = r.u53()
      return { kind: 'append', epoch, prevIndex, prevEntryEpoch, commitIndex, record: r.rest() }
    }
    case KIND_APPEND_ACK: {
      const epoch = r.u32()
      const durableIndex = r.u53()
      const nextIndex = r.u53()
      const n = r.u32()
      const holds: [number, number][] = []
      for (let i = 0; i < n; i++) holds.push([r.u53(), r.u53()])
      r.finish()
      return { kind: 'appendAck', epoch, durableIndex, nextIndex, holds }
    }
    case KIND_COMMIT: {
      const epoch = r.u32()
      const commitIndex = r.u53()
      const nextIndex = r.u53()
      r.finish()
      return { kind: 'commit', epoch, commitIndex, nextIndex }
    }
    case KIND_PING: {
      const epoch = r.u32()
      const round = r.u53()
      r.finish()
      return { kind: 'ping', epoch, round }
    }
    case KIND_PONG: {
      const epoch = r.u32()
      const round = r.u53()
      const ok = r.u8() !== 0
      r.finish()
      return { kind: 'pong', epoch, round, ok }
    }
    case KIND_LOG_CHUNK: {
      const token = r.u53()
      const from = r.u53()
      const next = r.u53()
      const end = r.u8() !== 0
      return { kind: 'logChunk', token, from, next, end, records: r.rest() }
    }
    case KIND_SNAPSHOT_CHUNK: {
      const token = r.u53()
      const snapshotId = text.decode(r.bytes())
      const index = r.u53()
      const n = r.u32()
      const lineage: LineageEntry[] = []
      for (let i = 0; i < n; i++) lineage.push([r.u32(), r.u53()])
      const chunk = r.u32()
      const chunks = r.u32()
      const totalBytes = r.u53()
      const crc = r.u32()
      return {
        kind: 'snapshotChunk',
        token,
        snapshotId,
        index,
        lineage,
        chunk,
        chunks,
        totalBytes,
        crc,
        bytes: r.rest(),
      }
    }
    default:
      throw new DecodeError(`message kind ${kind} is not known between replicas`)
  }
}

function windowOf(bytes: number): number {
  if (bytes > MAX_WATCH_WINDOW_BYTES)
    throw new DecodeError(`a window of ${bytes} bytes is above the limit of ${MAX_WATCH_WINDOW_BYTES}`)
  return bytes
}

function countOf(n: number): number {
  if (n < 1 || n > MAX_RUN_REQUESTS)
    throw new DecodeError(`${n} requests in one frame; allowed are 1 to ${MAX_RUN_REQUESTS}`)
  return n
}
