// Keys and values as users have them, and as bytes. Sizes are checked here, before anything is sent.
import { CoppiceError, MAX_KEY_BYTES, MAX_VALUE_BYTES, type TextPort } from '@coppice/protocol'

/** Between a user's type and bytes. `encode` also takes bytes as they are. */
export interface Codec<T> {
  encode(value: T): Uint8Array
  decode(bytes: Uint8Array): T
}

export function textCodec(text: TextPort): Codec<string> {
  return { encode: (value) => text.encode(value), decode: (bytes) => text.decode(bytes) }
}

/** What it gives out is a copy, so that a large reply is not kept alive by a small value. */
export const bytesCodec: Codec<Uint8Array> = { encode: (value) => value, decode: (bytes) => bytes.slice() }

export function jsonCodec<T>(text: TextPort): Codec<T> {
  return {
    encode: (value) => {
      const json: string | undefined = JSON.stringify(value)
      if (json === undefined) throw invalid('value has no JSON form')
      return text.encode(json)
    },
    decode: (bytes) => JSON.parse(text.decode(bytes)) as T,
  }
}

/** Bytes stay as they are, anything else goes through the codec. */
export function encodeWith<T>(codec: Codec<T>, value: T | Uint8Array): Uint8Array {
  return value instanceof Uint8Array ? value : codec.encode(value)
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
