// The operations of the client cache as bytes, and their parser. A holder is one cache of one client: it holds leases on keys.
//
//   open:   u8 40 · u32 ttlMs                                               answers u53 holder
//   keep:   u8 41 · u53 holder                                              answers u8 status · u53 index
//   lease:  u8 42 · u53 holder · u16 n · key                                answers u8 status · u53 index · u32 restMs · (get's answer)
//   forget: u8 43 · u53 holder · u16 n · n × (u53 upTo · u16 n · key)       answers u8 1
//   drop:   u8 44 · u53 holder · u53 upTo                                   answers u8 1
//   close:  u8 45 · u53 holder                                              answers u8 1
import { readU32, readU53, Reader, Writer, type Index } from '@coppice/protocol'
import { keyEnd, readU16, writeKey, writeU16 } from './operation-parts.js'
import { readFound, type Found } from './replies.js'

export const OP_CACHE_OPEN = 40
export const OP_CACHE_KEEP = 41
export const OP_CACHE_LEASE = 42
export const OP_CACHE_FORGET = 43
export const OP_CACHE_DROP = 44
export const OP_CACHE_CLOSE = 45

export function isCacheOperation(kind: number): boolean {
  return kind >= OP_CACHE_OPEN && kind <= OP_CACHE_CLOSE
}

/** Whether a holder's time begins anew with it. */
export function prolongsHolder(kind: number): boolean {
  return kind === OP_CACHE_OPEN || kind === OP_CACHE_KEEP
}

/** Of a holder, ms. */
export const MIN_HOLDER_TTL_MS = 100
export const MAX_HOLDER_TTL_MS = 60_000
/** Keys of one `forget`. */
export const MAX_FORGET = 1_000

/** Answer of `keep`: the holder is gone. */
export const KEEP_UNKNOWN = 0
/** Answer of `keep`: the holder goes on. */
export const KEEP_DONE = 1
/** Leases were revoked that the holder has not given back: it must drop all it has, and say so. */
export const KEEP_REVOKED = 2

/** Answer of `lease`: the holder is gone. */
export const LEASE_UNKNOWN = 0
/** Answer of `lease`: the value may be answered from memory. */
export const LEASE_GRANTED = 1
/** The value may be used once: a writer waits, or the holder has enough leases. */
export const LEASE_REFUSED = 2
/** It is too large to be answered here, or lives no longer than somebody's session. */
export const LEASE_NEVER = 3

/** `restMs` of a key that does not end by time. */
export const NO_END = 0xffff_ffff

/** A lease that a holder gives back. */
export interface Forgotten {
  readonly key: Uint8Array
  /** The lease was granted at this index, or was revoked at it: a later one stays. */
  readonly upTo: Index
}

/** The operation that makes a holder of leases; `ttlMs`: without a sign of life for so long it is gone. */
export function encodeCacheOpen(ttlMs: number): Uint8Array {
  const w = new Writer(5)
  w.u8(OP_CACHE_OPEN)
  w.u32(ttlMs)
  return w.view()
}

/** The operation by which a holder says that it is there. */
export function encodeCacheKeep(holder: Index): Uint8Array {
  return ofHolder(OP_CACHE_KEEP, holder, 9).view()
}

/** The operation that reads a key and leases its value to the holder. */
export function encodeCacheLease(holder: Index, key: Uint8Array): Uint8Array {
  const w = ofHolder(OP_CACHE_LEASE, holder, 11 + key.length)
  writeKey(w, key)
  return w.view()
}

/** The operation that gives leases back. */
export function encodeCacheForget(holder: Index, keys: readonly Forgotten[]): Uint8Array {
  const w = ofHolder(OP_CACHE_FORGET, holder, 11 + 64 * keys.length)
  writeU16(w, keys.length)
  for (const { key, upTo } of keys) {
    w.u53(upTo)
    writeKey(w, key)
  }
  return w.view()
}

/** Gives back every lease granted up to this index. */
export function encodeCacheDrop(holder: Index, upTo: Index): Uint8Array {
  const w = ofHolder(OP_CACHE_DROP, holder, 17)
  w.u53(upTo)
  return w.view()
}

/** The operation that ends a holder and its leases. */
export function encodeCacheClose(holder: Index): Uint8Array {
  return ofHolder(OP_CACHE_CLOSE, holder, 9).view()
}

function ofHolder(kind: number, holder: Index, size: number): Writer {
  const w = new Writer(size)
  w.u8(kind)
  w.u53(holder)
  return w
}

/** Why the operation in [start, end) is none, or undefined. */
export function cacheOperationProblem(b: Uint8Array, start: number, end: number): string | undefined {
  const kind = b[start]!
  if (kind === OP_CACHE_OPEN) {
    if (end - start !== 5) return 'cache open is of the wrong length'
    const ttlMs = readU32(b, start + 1)
    const inRange = ttlMs >= MIN_HOLDER_TTL_MS && ttlMs <= MAX_HOLDER_TTL_MS
    return inRange
      ? undefined
      : `cache open: ttl of ${ttlMs} ms is not between ${MIN_HOLDER_TTL_MS} and ${MAX_HOLDER_TTL_MS}`
  }
  const atHolder = indexProblem(b, start + 1, end, 'cache: holder')
  if (atHolder !== undefined) return atHolder
  let at = start + 9
  if (kind === OP_CACHE_LEASE) {
    const afterKey = keyEnd(b, at, end, 'cache lease: key')
    if (typeof afterKey === 'string') return afterKey
    at = afterKey
  } else if (kind === OP_CACHE_DROP) {
    const problem = indexProblem(b, at, end, 'cache drop: index')
    if (problem !== undefined) return problem
    at += 8
  } else if (kind === OP_CACHE_FORGET) {
    if (at + 2 > end) return 'cache forget is cut off'
    const count = readU16(b, at)
    if (count > MAX_FORGET) return `cache forget has ${count} keys, above the limit of ${MAX_FORGET}`
    at += 2
    for (let i = 0; i < count; i++) {
      const problem = indexProblem(b, at, end, 'cache forget: index')
      if (problem !== undefined) return problem
      const afterKey = keyEnd(b, at + 8, end, 'cache forget: key')
      if (typeof afterKey === 'string') return afterKey
      at = afterKey
    }
  }
  return at === end ? undefined : `cache operation: ${end - at} bytes too many`
}

function indexProblem(b: Uint8Array, at: number, end: number, what: string): string | undefined {
  if (at + 8 > end) return `${what} is cut off`
  return readU32(b, at + 4) > 0x1f_ffff ? `${what} is above 2^53` : undefined
}

/** The new holder's id. */
export function decodeCacheOpened(bytes: Uint8Array): Index {
  return readU53(bytes, 0)
}

/** What `keep` came to. */
export interface KeepReply {
  readonly status: number
  readonly index: Index
}

/** Throws DecodeError. */
export function decodeKeepReply(bytes: Uint8Array): KeepReply {
  const r = new Reader(bytes)
  return { status: r.u8(), index: r.u53() }
}

/** What `lease` came to. */
export interface LeaseReply {
  readonly status: number
  /** Of the entry that granted it. */
  readonly index: Index
  /** What is left of the key's ttl, ms; NO_END: it has none. */
  readonly restMs: number
  readonly found: Found | undefined
}

/** Throws DecodeError. */
export function decodeLeaseReply(bytes: Uint8Array): LeaseReply {
  const r = new Reader(bytes)
  const status = r.u8()
  const index = r.u53()
  const restMs = r.u32()
  return { status, index, restMs, found: readFound(r) }
}
