// The replies of vKV as bytes, and their readers for clients.
//
//   write:     u8 0 · u53 version · u8 existed  |  u8 1 · u8 guard · u53 fence  |  u8 2 · u8 found · [u53 version · value …]  |  u8 3 · u32 waitMs
//   acquire:   u8 0 · u53 fence · u8 taken  |  u8 1 · u53 fence · u32 retryMs · u8 place
//   renew, release:  u8 done
//   get:       u8 found · [u53 version · value …]
//   getMany:   u8 0 · u32 n · n × (u8 found · [u53 version · u32 n · value])  |  u8 1 · u16 guard · u53 fence
//   range:     u8 more · u32 n · n × (u16 n · key · u53 version · u32 n · value)
import { DecodeError, Reader, type Index } from '@coppice/protocol'

export const WRITE_OK = 0
export const WRITE_FENCED = 1
export const WRITE_MISMATCH = 2
/** Client caches hold leases on the key: nothing was written, come again. */
export const WRITE_BLOCKED = 3
/** Of the reply to a write that was done. */
export const WRITE_OK_BYTES = 10
/** What precedes the value in the reply of a get that found one. */
export const FOUND_HEAD_BYTES = 9

/** How an acquired lock was found. */
export const TAKEN_FREE = 0
/** Its former holder did not release it: what it was doing may be half done. */
export const TAKEN_EXPIRED = 1
/** This owner held it already; the fence is the one it has. */
export const TAKEN_OWN = 2

/** Place of a waiter that found the queue full, or did not ask for one. */
export const NO_PLACE = 255

/** A value as the store has it; a view of the reply. */
export interface Found {
  readonly version: Index
  readonly value: Uint8Array
}
export type WriteReply =
  | { readonly kind: 'ok'; readonly version: Index; readonly existed: boolean }
  /** Guard number `guard` does not hold: the lock has this fence now (0: nobody holds it). */
  | { readonly kind: 'fenced'; readonly guard: number; readonly fence: Index }
  | { readonly kind: 'mismatch'; readonly current: Found | undefined }
  /** Caches hold leases on the key; the last of them ends after `waitMs` at the latest. */
  | { readonly kind: 'blocked'; readonly waitMs: number }
export type AcquireReply =
  | { readonly kind: 'acquired'; readonly fence: Index; readonly taken: 'free' | 'expired' | 'own' }
  /** Held by another (or promised to an earlier waiter) for `retryMs` by the log's time, unless it is renewed. */
  | { readonly kind: 'busy'; readonly fence: Index; readonly retryMs: number; readonly place: number | undefined }
export type ManyReply =
  | { readonly kind: 'ok'; readonly entries: readonly (Found | undefined)[] }
  | { readonly kind: 'fenced'; readonly guard: number; readonly fence: Index }
export interface RangeEntry extends Found {
  readonly key: Uint8Array
}
export interface RangeReply {
  readonly more: boolean
  readonly entries: readonly RangeEntry[]
}

export function decodeWriteReply(bytes: Uint8Array): WriteReply {
  const r = new Reader(bytes)
  const status = r.u8()
  if (status === WRITE_OK) return { kind: 'ok', version: r.u53(), existed: r.u8() === 1 }
  if (status === WRITE_FENCED) return { kind: 'fenced', guard: r.u8(), fence: r.u53() }
  if (status === WRITE_MISMATCH) return { kind: 'mismatch', current: readFound(r) }
  if (status === WRITE_BLOCKED) return { kind: 'blocked', waitMs: r.u32() }
  throw new DecodeError(`unknown write reply ${status}`)
}

export function decodeAcquireReply(bytes: Uint8Array): AcquireReply {
  const r = new Reader(bytes)
  if (r.u8() === 0) {
    const fence = r.u53()
    const taken = r.u8()
    return { kind: 'acquired', fence, taken: taken === TAKEN_FREE ? 'free' : taken === TAKEN_OWN ? 'own' : 'expired' }
  }
  const fence = r.u53()
  const retryMs = r.u32()
  const place = r.u8()
  return { kind: 'busy', fence, retryMs, place: place === NO_PLACE ? undefined : place }
}

/** Reply of renew and release: whether this owner held the lock with this fence. */
export function decodeDone(bytes: Uint8Array): boolean {
  return new Reader(bytes).u8() === 1
}

export function decodeGetReply(bytes: Uint8Array): Found | undefined {
  return readFound(new Reader(bytes))
}

export function readFound(r: Reader): Found | undefined {
  return r.u8() === 0 ? undefined : { version: r.u53(), value: r.rest() }
}

export function decodeManyReply(bytes: Uint8Array): ManyReply {
  const r = new Reader(bytes)
  if (r.u8() !== 0) {
    const guard = r.u8()
    return { kind: 'fenced', guard: guard | (r.u8() << 8), fence: r.u53() }
  }
  const entries: (Found | undefined)[] = []
  for (let n = r.u32(); n > 0; n--) entries.push(r.u8() === 0 ? undefined : { version: r.u53(), value: r.bytes() })
  return { kind: 'ok', entries }
}

export function decodeRangeReply(bytes: Uint8Array): RangeReply {
  const r = new Reader(bytes)
  const more = r.u8() === 1
  const entries: RangeEntry[] = []
  for (let n = r.u32(); n > 0; n--) {
    const keyLength = r.u8() | (r.u8() << 8)
    const at = r.skip(keyLength)
    entries.push({ key: r.buffer.subarray(at, at + keyLength), version: r.u53(), value: r.bytes() })
  }
  return { more, entries }
}
