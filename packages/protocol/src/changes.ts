// Changes as they lie in a replica's change log and travel to those who watch: one after the other, each
//
//   u32 length of what follows · u53 index · u8 stream · u8 kind · u32 length of the topic · topic · payload
import { DecodeError, readU32, readU53, writeU32, writeU53 } from './bytes.js'
import type { Index } from './ids.js'
import { MAX_TOPIC_BYTES } from './limits.js'

/** Bytes of a change before its topic. */
export const CHANGE_HEADER_BYTES = 4 + 8 + 1 + 1 + 4

/** What an entry changed, as its machine put it. */
export interface Change {
  /** The entry that made it; one entry may make several. */
  readonly index: Index
  /** 0–255, a family of topics. */
  readonly stream: number
  /** 0–255, the machine's word for what happened. */
  readonly kind: number
  readonly topic: Uint8Array
  readonly payload: Uint8Array
  /** Bytes of the watch's window that it takes until it is consumed. */
  readonly size: number
}

/** Writes a change's header at `at`; topic and payload follow it. */
export function writeChangeHeader(
  b: Uint8Array,
  at: number,
  index: Index,
  stream: number,
  kind: number,
  topicBytes: number,
  payloadBytes: number,
): void {
  writeU32(b, at, CHANGE_HEADER_BYTES - 4 + topicBytes + payloadBytes)
  writeU53(b, at + 4, index)
  b[at + 12] = stream
  b[at + 13] = kind
  writeU32(b, at + 14, topicBytes)
}

/** Where the change at `at` ends. */
export function changeEnd(b: Uint8Array, at: number): number {
  return at + 4 + readU32(b, at)
}
/** Index of the entry that made the change at `at`. */
export function changeIndex(b: Uint8Array, at: number): Index {
  return readU53(b, at + 4)
}
/** Its stream. */
export function changeStream(b: Uint8Array, at: number): number {
  return b[at + 12]!
}
/** Where its topic ends and its payload begins; it begins CHANGE_HEADER_BYTES after `at`. */
export function changeTopicEnd(b: Uint8Array, at: number): number {
  return at + CHANGE_HEADER_BYTES + readU32(b, at + 14)
}

/** Checks that [start, end) is a sequence of whole changes in the order of their indexes. */
export function checkChanges(b: Uint8Array, start: number, end: number): void {
  let last = 0
  for (let at = start; at < end;) {
    if (at + CHANGE_HEADER_BYTES > end) throw new DecodeError('a change is cut off')
    const to = changeEnd(b, at)
    const topicBytes = readU32(b, at + 14)
    if (to > end || topicBytes > MAX_TOPIC_BYTES || at + CHANGE_HEADER_BYTES + topicBytes > to)
      throw new DecodeError('a change is longer than its message')
    const index = changeIndex(b, at)
    if (index < last) throw new DecodeError(`a change of entry ${index} after one of entry ${last}`)
    last = index
    at = to
  }
}

/** The changes in [start, end) of `b`, which was checked; topics and payloads are views of it. */
export function readChanges(b: Uint8Array, start: number, end: number): Change[] {
  const changes: Change[] = []
  for (let at = start; at < end;) {
    const to = changeEnd(b, at)
    const topicEnd = changeTopicEnd(b, at)
    changes.push({
      index: changeIndex(b, at),
      stream: changeStream(b, at),
      kind: b[at + 13]!,
      topic: b.subarray(at + CHANGE_HEADER_BYTES, topicEnd),
      payload: b.subarray(topicEnd, to),
      size: to - at,
    })
    at = to
  }
  return changes
}
