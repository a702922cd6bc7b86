// The log record: one batch of entries, byte for byte the same on the wire, in every log and in every transfer (PROTOCOL 5, 7).
//
//   u32 length of what follows · u32 crc32 of what follows it · u32 epoch · u53 firstIndex · u32 entries · u53 elapsedMs · runs …
//
// Only whole records are appended, shipped or cut, and an epoch starts at a record boundary; so every prefix that two logs share
// ends at a record boundary.
// A run is what one sender put into one frame; its bytes are copied from that frame unchanged:
//
//   u8 1 (requests) · u53 clerkId · u53 firstRequestId · u53 firstIncomplete · u32 count · u32 bytes · count × (u32 length · operation)
//   u8 2 (register) · 16 bytes nonce                                                  one entry; its index is the clerkId
//   u8 3 (skip)     · u53 clerkId · u53 from · u53 to (inclusive) · u53 firstIncomplete      one entry
//   u8 4 (touch)    · u32 n · n × u53 clerkId                                         one entry
//   u8 5 (barrier)                                                                    one entry; changes nothing
//   u8 6 (expire)   · u32 n · n × u53 clerkId                                         one entry; the primary found them idle by log time
//   u8 7 (tick)                                                                       one entry; the machine learns the log's time
import { DecodeError, type Reader, readU32, readU53, writeU32, writeU53 } from './bytes.js'
import type { ClerkId, Epoch, Index, Millis, RequestId } from './ids.js'

/** Kind of a run: requests of one clerk. */
export const RUN_REQUESTS = 1
/** Kind of a run: a clerk is made; its index is the clerkId. */
export const RUN_REGISTER = 2
/** Kind of a run: requests that will not be sent again. */
export const RUN_SKIP = 3
/** Kind of a run: clerks that were read for are not idle. */
export const RUN_TOUCH = 4
/** Kind of a run: an entry that changes nothing. */
export const RUN_BARRIER = 5
/** Kind of a run: idle clerks are removed. */
export const RUN_EXPIRE = 6
/** Kind of a run: the machine learns the log's time. */
export const RUN_TICK = 7

/** Bytes before the first run of a record. */
export const RECORD_HEADER_BYTES = 4 + 4 + 4 + 8 + 4 + 8
const CRC_FROM = 8
/** Bytes of a registration's nonce. */
export const NONCE_BYTES = 16

/** Header of a record; `bytes` is the whole record including it. */
export interface RecordHeader {
  readonly epoch: Epoch
  readonly firstIndex: Index
  /** Number of entries; the record holds [firstIndex, firstIndex + entries). */
  readonly entries: number
  /** The primary's elapsed time when the record was begun, ms since genesis; never less than in the record before. */
  readonly elapsedMs: Millis
}

/** The CRC-32 of a range of bytes, as zlib computes it. */
export type Crc32 = (bytes: Uint8Array, start: number, end: number) => number

/** Fills in the header of a record whose runs are already at `record[RECORD_HEADER_BYTES …]`. */
export function sealRecord(record: Uint8Array, header: RecordHeader, crc32: Crc32): void {
  writeU32(record, 0, record.length - 4)
  writeU32(record, 8, header.epoch)
  writeU53(record, 12, header.firstIndex)
  writeU32(record, 20, header.entries)
  writeU53(record, 24, header.elapsedMs)
  writeU32(record, 4, crc32(record, CRC_FROM, record.length))
}

/** Reads and checks a record's header. Throws DecodeError when it is cut or its CRC is wrong. */
export function openRecord(record: Uint8Array, crc32: Crc32): RecordHeader {
  if (record.length < RECORD_HEADER_BYTES) throw new DecodeError('record shorter than its header')
  if (readU32(record, 0) !== record.length - 4) throw new DecodeError('record length differs from its bytes')
  if (readU32(record, 4) !== crc32(record, CRC_FROM, record.length)) throw new DecodeError('record CRC is wrong')
  return readRecordHeader(record)
}

/** Reads a header that was checked before. */
export function readRecordHeader(record: Uint8Array): RecordHeader {
  return {
    epoch: readU32(record, 8),
    firstIndex: readU53(record, 12),
    entries: readU32(record, 20),
    elapsedMs: readU53(record, 24),
  }
}

/** One run inside a record. `opsStart` and `opsEnd` bound count × (u32 length · operation) in the record's bytes. */
export type Run =
  | {
      readonly kind: 'requests'
      readonly clerkId: ClerkId
      readonly firstRequestId: RequestId
      readonly firstIncomplete: RequestId
      readonly count: number
      readonly opsStart: number
      readonly opsEnd: number
    }
  | { readonly kind: 'register'; readonly nonceStart: number }
  | {
      readonly kind: 'skip'
      readonly clerkId: ClerkId
      readonly from: RequestId
      readonly to: RequestId
      readonly firstIncomplete: RequestId
    }
  | { readonly kind: 'touch' | 'expire'; readonly clerkIds: readonly ClerkId[] }
  | { readonly kind: 'barrier' | 'tick' }

/** Reads the run at the reader's place. */
export function readRun(r: Reader): Run {
  const kind = r.u8()
  switch (kind) {
    case RUN_REQUESTS: {
      const clerkId = r.u53()
      const firstRequestId = r.u53()
      const firstIncomplete = r.u53()
      const count = r.u32()
      const bytes = r.u32()
      const opsStart = r.skip(bytes)
      return { kind: 'requests', clerkId, firstRequestId, firstIncomplete, count, opsStart, opsEnd: opsStart + bytes }
    }
    case RUN_REGISTER:
      return { kind: 'register', nonceStart: r.skip(NONCE_BYTES) }
    case RUN_SKIP:
      return { kind: 'skip', clerkId: r.u53(), from: r.u53(), to: r.u53(), firstIncomplete: r.u53() }
    case RUN_TOUCH:
    case RUN_EXPIRE: {
      const n = r.u32()
      const clerkIds: ClerkId[] = []
      for (let i = 0; i < n; i++) clerkIds.push(r.u53())
      return { kind: kind === RUN_TOUCH ? 'touch' : 'expire', clerkIds }
    }
    case RUN_BARRIER:
      return { kind: 'barrier' }
    case RUN_TICK:
      return { kind: 'tick' }
    default:
      throw new DecodeError(`unknown run kind ${kind}`)
  }
}

/** Number of entries (indexes) a run takes. */
export function entriesOf(run: Run): number {
  return run.kind === 'requests' ? run.count : 1
}

/** Checks that [start, end) is exactly `count` × (u32 length · operation), each at most `maxBytes`. */
export function checkOps(buffer: Uint8Array, start: number, end: number, count: number, maxBytes: number): void {
  let at = start
  for (let i = 0; i < count; i++) {
    if (at + 4 > end) throw new DecodeError('operation beyond its run')
    const n = readU32(buffer, at)
    if (n > maxBytes) throw new DecodeError(`operation of ${n} bytes is above the limit of ${maxBytes}`)
    at += 4 + n
  }
  if (at !== end) throw new DecodeError('run length differs from its operations')
}
