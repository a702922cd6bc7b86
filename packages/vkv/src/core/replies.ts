// The replies of vKV as bytes, and their readers for clients.
//
//   write:     u8 0 · u53 version · u8 existed  |  u8 1 · u8 guard · u53 fence  |  u8 2 · u8 found · [u53 version · value …]  |  u8 3 · u32 waitMs
//              |  u8 4 (session ended) · u53 session  |  u8 5 (idempotency key of another operation)  |  u8 6 (full) · u8 of what
//   update done before under its idempotency key:  the reply of a write, then u8 there is a value · [value …]
//   open session:   u8 0 · u53 id  |  u8 6 · u8 of what
//   keep alive:     u8 0 · n × u53 id of one that has ended
//   end session:    u8 whether there was one
//   acquire:   u8 0 · u53 fence · u8 taken  |  u8 1, 3, 4 · u53 fence  |  u8 2 · u53 fence · u53 place · u53 index
//   renew, release:  u8 done
//   get:       u8 found · [u53 version · value …]
//   getMany:   u8 0 · u32 n · n × (u8 found · [u53 version · u32 n · value])  |  u8 1 · u16 guard · u53 fence
//   count:     u53
//   range:     u8 more · u32 n · n × (u16 n · key · u53 version · u32 n · value)
import { DecodeError, Reader, type Index, type Writer } from '@coppice/protocol'

export const WRITE_OK = 0
export const WRITE_FENCED = 1
export const WRITE_MISMATCH = 2
/** Client caches hold leases on the key: nothing was written, come again. */
export const WRITE_BLOCKED = 3
/** The session that the key was to be bound to is not there. */
export const WRITE_SESSION_ENDED = 4
/** The idempotency key was used for another operation. */
export const WRITE_REUSED = 5
/** There are as many as there may be. */
export const WRITE_FULL = 6

/** Of what there are as many as there may be. */
export const FULL_SESSIONS = 0
export const FULL_SESSION_KEYS = 1
export const FULL_IDEMPOTENCY_KEYS = 2
/** Of the reply to a write that was done. */
export const WRITE_OK_BYTES = 10
/** What precedes the value in the reply of a get that found one. */
export const FOUND_HEAD_BYTES = 9

export const ACQUIRE_OK = 0
/** Another has it, and no place was asked for. */
export const ACQUIRE_BUSY = 1
export const ACQUIRE_QUEUED = 2
/** There are too many waiters. */
export const ACQUIRE_FULL = 3
/** The session that a place was asked for has ended. */
export const ACQUIRE_NO_SESSION = 4

/** How an acquired lock was found. */
export const TAKEN_FREE = 0
/** Its former holder did not release it: what it was doing may be half done. */
export const TAKEN_EXPIRED = 1
/** This owner held it already; the fence is the one it has. */
export const TAKEN_OWN = 2

/** A value as the store has it; a view of the reply. */
export interface Found {
  readonly version: Index
  readonly value: Uint8Array
}
/** What a write came to. */
export type WriteReply =
  | {
      readonly kind: 'ok'
      readonly version: Index
      readonly existed: boolean
      /** Of an update that was done before: what it wrote, `undefined` in it: it deleted. */
      readonly before?: { readonly value: Uint8Array | undefined }
    }
  | { readonly kind: 'sessionEnded'; readonly session: Index }
  | { readonly kind: 'reused' }
  | { readonly kind: 'full'; readonly of: number }
  /** Guard number `guard` does not hold: the lock has this fence now (0: nobody holds it). */
  | { readonly kind: 'fenced'; readonly guard: number; readonly fence: Index }
  | { readonly kind: 'mismatch'; readonly current: Found | undefined }
  /** Caches hold leases on the key; the last of them ends after `waitMs` at the latest. */
  | { readonly kind: 'blocked'; readonly waitMs: number }
/** What an attempt at a lock came to. */
export type AcquireReply =
  | { readonly kind: 'acquired'; readonly fence: Index; readonly taken: 'free' | 'expired' | 'own' }
  /** Another has it with this fence (0: it is about to be given to an earlier waiter). */
  | { readonly kind: 'busy' | 'full' | 'noSession'; readonly fence: Index }
  /** It stands in the queue: `place` is the index of the entry that queued it, `index` that of the one that says so. */
  | { readonly kind: 'queued'; readonly fence: Index; readonly place: Index; readonly index: Index }
/** Values in the order of the keys; refused when a guard does not hold. */
export type ManyReply =
  | { readonly kind: 'ok'; readonly entries: readonly (Found | undefined)[] }
  | { readonly kind: 'fenced'; readonly guard: number; readonly fence: Index }
/** An entry of a page; a view of the reply. */
export interface RangeEntry extends Found {
  readonly key: Uint8Array
}
/** A page of a scan. `more`: there are entries behind it. */
export interface RangeReply {
  readonly more: boolean
  readonly entries: readonly RangeEntry[]
}

/** The session that a key was to be bound to is not there. */
export function refuseEnded(out: Writer, session: Index): void {
  out.u8(WRITE_SESSION_ENDED)
  out.u53(session)
}

/** There are as many of these as there may be. */
export function refuseFull(out: Writer, of: number): void {
  out.u8(WRITE_FULL)
  out.u8(of)
}

/** Throws DecodeError. */
export function decodeWriteReply(bytes: Uint8Array): WriteReply {
  const r = new Reader(bytes)
  const status = r.u8()
  if (status === WRITE_OK) {
    const done = { kind: 'ok', version: r.u53(), existed: r.u8() === 1 } as const
    return r.at === r.end ? done : { ...done, before: { value: r.u8() === 1 ? r.rest() : undefined } }
  }
  if (status === WRITE_FENCED) return { kind: 'fenced', guard: r.u8(), fence: r.u53() }
  if (status === WRITE_MISMATCH) return { kind: 'mismatch', current: readFound(r) }
  if (status === WRITE_BLOCKED) return { kind: 'blocked', waitMs: r.u32() }
  if (status === WRITE_SESSION_ENDED) return { kind: 'sessionEnded', session: r.u53() }
  if (status === WRITE_REUSED) return { kind: 'reused' }
  if (status === WRITE_FULL) return { kind: 'full', of: r.u8() }
  throw new DecodeError(`unknown write reply ${status}`)
}

/** Throws DecodeError. */
export function decodeAcquireReply(bytes: Uint8Array): AcquireReply {
  const r = new Reader(bytes)
  const status = r.u8()
  const fence = r.u53()
  switch (status) {
    case ACQUIRE_OK: {
      const taken = r.u8()
      return { kind: 'acquired', fence, taken: taken === TAKEN_FREE ? 'free' : taken === TAKEN_OWN ? 'own' : 'expired' }
    }
    case ACQUIRE_QUEUED:
      return { kind: 'queued', fence, place: r.u53(), index: r.u53() }
    case ACQUIRE_BUSY:
      return { kind: 'busy', fence }
    case ACQUIRE_FULL:
      return { kind: 'full', fence }
    case ACQUIRE_NO_SESSION:
      return { kind: 'noSession', fence }
    default:
      throw new DecodeError(`unknown acquire reply ${status}`)
  }
}

/** Reply of renew and release: whether this owner held the lock with this fence. */
export function decodeDone(bytes: Uint8Array): boolean {
  return new Reader(bytes).u8() === 1
}

/** Id of the session that was opened; undefined: there are as many as there may be. */
export function decodeOpenReply(bytes: Uint8Array): Index | undefined {
  const r = new Reader(bytes)
  return r.u8() === WRITE_OK ? r.u53() : undefined
}

/** Of the sessions that were to be kept alive those that have ended. */
export function decodeKeepAliveReply(bytes: Uint8Array): Index[] {
  const r = new Reader(bytes, 1)
  const ended: Index[] = []
  while (r.at < r.end) ended.push(r.u53())
  return ended
}

/** Undefined: the key is missing. Throws DecodeError. */
export function decodeGetReply(bytes: Uint8Array): Found | undefined {
  return readFound(new Reader(bytes))
}

export function readFound(r: Reader): Found | undefined {
  return r.u8() === 0 ? undefined : { version: r.u53(), value: r.rest() }
}

/** Throws DecodeError. */
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

/** Throws DecodeError. */
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

/** The number of keys that a count found. */
export function decodeCountReply(bytes: Uint8Array): number {
  return new Reader(bytes).u53()
}
