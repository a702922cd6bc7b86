// Keys and values as users have them, and as bytes. Sizes are checked here, before anything is sent.
import { CoppiceError, MAX_KEY_BYTES, MAX_VALUE_BYTES, type TextPort } from '@coppice/protocol'
import { copyOfRange } from './copies.js'

/** Between a user's type and bytes. `encode` also takes bytes as they are. */
export interface Codec<T> {
  encode(value: T): Uint8Array
  decode(bytes: Uint8Array): T
}

/** A codec that can also read a value where it lies, and write it as text. */
export interface PlaceCodec<T> extends Codec<T> {
  /** The value in [start, end) of `buffer`, of which nothing is kept. */
  decodeAt(buffer: Uint8Array, start: number, end: number): T
  /** The value as text whose UTF-8 form `encode` gives; undefined: it is no text. */
  readonly toText?: (value: T) => string
}

export function textCodec(text: TextPort): PlaceCodec<string> {
  const toText = (value: string): string => {
    if (typeof value !== 'string') throw invalid(`a string is wanted, not ${kindOf(value)}`)
    return value
  }
  return {
    encode: (value) => text.encode(toText(value)),
    decode: (bytes) => text.decode(bytes),
    decodeAt: (buffer, start, end) => text.decode(buffer.subarray(start, end)),
    toText,
  }
}

/** What it gives out is a copy, so that a large reply is not kept alive by a small value. */
export const bytesCodec: PlaceCodec<Uint8Array> = {
  encode: (value) => value,
  // A Buffer's own `slice` would be no copy.
  decode: (bytes) => Uint8Array.prototype.slice.call(bytes),
  decodeAt: copyOfRange,
}

export function jsonCodec<T>(text: TextPort): PlaceCodec<T> {
  const toText = (value: T): string => {
    const json: string | undefined = JSON.stringify(value)
    if (json === undefined) throw invalid('value has no JSON form')
    return json
  }
  return {
    encode: (value) => text.encode(toText(value)),
    decode: (bytes) => JSON.parse(text.decode(bytes)) as T,
    decodeAt: (buffer, start, end) => JSON.parse(text.decode(buffer.subarray(start, end))) as T,
    toText,
  }
}

/** The same codec, or one that copies what a user's own codec may keep. */
export function placeCodec<T>(codec: Codec<T>): PlaceCodec<T> {
  if ('decodeAt' in codec) return codec as PlaceCodec<T>
  return {
    encode: (value) => codec.encode(value),
    decode: (bytes) => codec.decode(bytes),
    decodeAt: (buffer, start, end) => codec.decode(buffer.slice(start, end)),
  }
}

/** Bytes stay as they are, anything else goes through the codec. */
export function encodeWith<T>(codec: Codec<T>, value: T | Uint8Array): Uint8Array {
  return value instanceof Uint8Array ? value : asBytes(codec.encode(value))
}

/** Whatever came instead of bytes, without types or from a user's codec, would be written as something else. */
export function asBytes(bytes: Uint8Array): Uint8Array {
  if (bytes instanceof Uint8Array) return bytes
  // Those of another realm are as good.
  if (Object.prototype.toString.call(bytes) === '[object Uint8Array]') return bytes
  throw invalid(`bytes (a Uint8Array) are wanted, not ${kindOf(bytes)}`)
}

/** What it is, for an error message. */
export function kindOf(value: unknown): string {
  return typeof value === 'object' ? Object.prototype.toString.call(value).slice(8, -1) : typeof value
}

/** Throws INVALID_ARGUMENT or TOO_LARGE naming the key. */
export function checkKey(key: Uint8Array, what: string, text: TextPort): void {
  if (key.length === 0) throw invalid(`${what} is empty`)
  if (key.length > MAX_KEY_BYTES) {
    throw tooLarge(`${what} ${shown(key, text)} has ${key.length} bytes, above the limit of ${MAX_KEY_BYTES}`)
  }
}

/** Throws TOO_LARGE naming the key and both sizes. */
export function checkValue(key: Uint8Array, value: Uint8Array, what: string, text: TextPort): void {
  if (value.length <= MAX_VALUE_BYTES) return
  throw tooLarge(
    `${what} of key ${shown(key, text)} has ${value.length} bytes, above the limit of ${MAX_VALUE_BYTES} (16 MiB)`,
  )
}

/** The name of a lock or an election as bytes. Throws INVALID_ARGUMENT and TOO_LARGE. */
export function nameBytes(name: string | Uint8Array, what: string, text: TextPort): Uint8Array {
  if (typeof name !== 'string' && !(name instanceof Uint8Array))
    throw invalid(`${what}: a string or bytes are wanted, not ${kindOf(name)}`)
  const bytes = typeof name === 'string' ? text.encode(name) : name
  checkKey(bytes, what, text)
  return bytes
}

/** Throws INVALID_ARGUMENT unless it is a string. */
export function checkText(value: string, what: string): void {
  if (typeof value !== 'string') throw invalid(`${what}: a string is wanted, not ${kindOf(value)}`)
}

/** Throws INVALID_ARGUMENT unless it can be called. */
export function checkFunction(value: unknown, what: string): void {
  if (typeof value !== 'function') throw invalid(`${what}: a function is wanted, not ${kindOf(value)}`)
}

export function invalid(message: string): CoppiceError {
  return new CoppiceError(message, { code: 'INVALID_ARGUMENT', outcome: 'not-applied' })
}

function tooLarge(message: string): CoppiceError {
  return new CoppiceError(message, { code: 'TOO_LARGE', outcome: 'not-applied' })
}

/** The key in an error message, shortened. */
export function shown(key: Uint8Array, text: TextPort): string {
  return JSON.stringify(text.decode(key.length > 64 ? key.subarray(0, 64) : key)) + (key.length > 64 ? '…' : '')
}
