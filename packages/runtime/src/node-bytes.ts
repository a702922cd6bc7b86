// Bytes and strings through Buffer's native methods, behind BytesPort and TextPort.
import { crc32 as zlibCrc32 } from 'node:zlib'
import type { BytesPort, TextPort } from '@coppice/protocol'

// Buffer's native methods work on any Uint8Array as `this`; called this way no Buffer object is made for each use.
type Slice = (this: Uint8Array, start: number, end: number) => string
type Write = (this: Uint8Array, text: string, offset: number) => number
interface NativeMethods {
  readonly latin1Slice: Slice
  readonly utf8Slice: Slice
  readonly latin1Write: Write
  readonly utf8Write: Write
}
const { latin1Slice, utf8Slice, latin1Write, utf8Write } = Buffer.prototype as unknown as NativeMethods

/** Up to here a loop is several times faster than the call into native code. */
const SHORT = 32

/** The BytesPort of Node: native methods of Buffer and zlib. */
export const nodeBytes: BytesPort = {
  latin1: (bytes, start, end) => latin1Slice.call(bytes, start, end),
  writeLatin1(target, text, offset) {
    if (text.length > SHORT || offset + text.length > target.length) return latin1Write.call(target, text, offset)
    for (let i = 0; i < text.length; i++) target[offset + i] = text.charCodeAt(i)
    return text.length
  },
  utf8: (bytes, start, end) => utf8Slice.call(bytes, start, end),
  writeUtf8: (target, text, offset) => utf8Write.call(target, text, offset),
  utf8Length: (text) => Buffer.byteLength(text, 'utf8'),
  crc32: (bytes, start, end) => zlibCrc32(bytes.subarray(start, end)),
}

/** The TextPort of Node: UTF-8. */
export const nodeText: TextPort = {
  encode: (text) => plain(Buffer.from(text, 'utf8')),
  decode: (bytes) => utf8Slice.call(bytes, 0, bytes.length),
}

/**
 * The same bytes as a plain Uint8Array. Everything handed to cores is one: `slice` of a Buffer would alias where `slice` of a
 * Uint8Array copies.
 */
export function plain(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length)
}

/** Bytes that are not zeroed: for those who overwrite every one of them before anybody sees it. */
export function uninitialized(length: number): Uint8Array {
  return plain(Buffer.allocUnsafeSlow(length))
}

/** Both, one behind the other, in bytes of their own. */
export function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const bytes = uninitialized(a.length + b.length)
  bytes.set(a)
  bytes.set(b, a.length)
  return bytes
}
