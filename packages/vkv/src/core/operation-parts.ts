// What operations and queries are made of (PROTOCOL 9): two-byte lengths, keys, guards.
//
//   guard:  u16 n · lock name · u53 fence
import { MAX_KEY_BYTES, readU32, type Index, type Writer } from '@coppice/protocol'

/** Guards of one write. */
export const MAX_GUARDS = 16

/** A lock and the fence it must still have for the write to happen. */
export interface Guard {
  readonly lock: Uint8Array
  readonly fence: Index
}

export function writeKey(w: Writer, key: Uint8Array): void {
  writeU16(w, key.length)
  w.raw(key)
}

export function writeGuard(w: Writer, guard: Guard): void {
  writeKey(w, guard.lock)
  w.u53(guard.fence)
}

/** Two bytes, the lower one first. */
export function writeU16(w: Writer, value: number): void {
  w.u8(value)
  w.u8(value >>> 8)
}

export function readU16(b: Uint8Array, at: number): number {
  return b[at]! | (b[at + 1]! << 8)
}

/** End of the key that begins with its length at `at`, or what is wrong with it. */
export function keyEnd(b: Uint8Array, at: number, end: number, what: string): number | string {
  if (at + 2 > end) return `${what} is cut off`
  const length = readU16(b, at)
  if (length === 0) return `${what} is empty`
  if (length > MAX_KEY_BYTES) return `${what} of ${length} bytes is above the limit of ${MAX_KEY_BYTES}`
  if (at + 2 + length > end) return `${what} is cut off`
  return at + 2 + length
}

/** End of so many guards that begin at `at`, or what is wrong with them. */
export function guardsEnd(b: Uint8Array, at: number, end: number, guards: number, what: string): number | string {
  if (guards > MAX_GUARDS) return `${what} has ${guards} guards, above the limit of ${MAX_GUARDS}`
  for (let i = 0; i < guards; i++) {
    const nameEnd = keyEnd(b, at, end, `${what}: lock name`)
    if (typeof nameEnd === 'string') return nameEnd
    at = nameEnd + 8
    if (at > end) return `${what}: fence is cut off`
    if (readU32(b, at - 4) > 0x1f_ffff) return `${what}: fence is above 2^53`
  }
  return at
}
