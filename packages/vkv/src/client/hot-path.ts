// Plain gets and puts, which is what stores mostly do: written where they are sent from, and their answers read where they arrived, so
// that a call costs its promise and little else. Everything with conditions, guards or large values goes the longer way in kv.ts.
import {
  CoppiceError,
  DecodeError,
  MAX_KEY_BYTES,
  MAX_VALUE_BYTES,
  readU53,
  type Index,
  type TextPort,
} from '@coppice/protocol'
import { directOf, type ClerkLike, type DirectCalls, type ReadOptions, type Space } from '@coppice/clerk/core'
import type { Budget } from './budget.js'
import { PUT_HEAD_BYTES, writePutHead } from '../core/operations.js'
import { GET_HEAD_BYTES, writeGetHead } from '../core/queries.js'
import { decodeWriteReply, FOUND_HEAD_BYTES, WRITE_BLOCKED, WRITE_OK, WRITE_OK_BYTES } from '../core/replies.js'
import { asBytes, bytesCodec, checkValue, placeCodec, type PlaceCodec } from './codecs.js'
import type { KeyLike } from './kv-types.js'
import type { View } from './view.js'

/** Larger bytes go the longer way: what the answer holds of them is copied when it is there, not for as long as the call lasts. */
const HOT_VALUE_BYTES = 8 * 1024
/** Up to here writing characters by hand beats a call into native code. */
const SHORT_TEXT = 160

/** What a put answers, while its version is still to come. */
interface Written<K, V> {
  readonly key: K
  readonly value: V
  version: Index
}

type WriteAgain<K, V> = (written: Written<K, V>, budget: Budget | undefined) => Promise<Written<K, V>>
type DecodePut<K, V> = (
  buffer: Uint8Array,
  start: number,
  end: number,
  written: Written<K, V>,
) => Written<K, V> | Promise<Written<K, V>>

export class HotPath<K, V> {
  readonly #direct: DirectCalls
  readonly #view: View<K, V>
  readonly #text: TextPort
  readonly #prefix: string
  readonly #keys: PlaceCodec<K>
  readonly #values: PlaceCodec<V>
  /** Keys are text: one that is ASCII is what its bytes would be decoded to. */
  readonly #textKeys: boolean
  readonly #plainKeys: boolean
  readonly #byteValues: boolean
  readonly #decodeGet: (buffer: Uint8Array, start: number, end: number, key: string | Uint8Array) => V | undefined
  readonly #again: WriteAgain<K, V>
  readonly #decodePut: DecodePut<K, V>

  /** `again`: does a put the longer way that the leases of caches have held up. */
  constructor(clerk: ClerkLike, view: View<K, V>, again: WriteAgain<K, V>) {
    const { text, keys, values, prefix } = view
    this.#again = again
    this.#decodePut = this.#decoderOfPut(undefined)
    this.#direct = directOf(clerk)
    this.#view = view
    this.#text = text
    this.#prefix = prefix
    this.#keys = placeCodec(keys)
    this.#values = placeCodec(values)
    this.#textKeys = this.#keys.toText !== undefined
    // What a user's own codec says to the key is said when the answer is there. A prefix must be cut off again.
    this.#plainKeys = (this.#textKeys || keys === (bytesCodec as unknown)) && prefix === ''
    this.#byteValues = values === (bytesCodec as unknown)
    const codec = this.#values
    this.#decodeGet = (buffer, start, end, key) => {
      if (buffer[start] === 0 && end === start + 1) return undefined
      if (end < start + FOUND_HEAD_BYTES) throw new DecodeError('the answer of a get is cut off')
      try {
        return codec.decodeAt(buffer, start + FOUND_HEAD_BYTES, end)
      } catch (error) {
        throw view.unfit('the stored value', key, error, 'not-applied')
      }
    }
  }

  get(key: K | KeyLike, options: ReadOptions | undefined): Promise<V | undefined> {
    const space = this.#direct.queries
    if (typeof key === 'string' && key.length > 0) {
      const whole = this.#prefix === '' ? key : this.#prefix + key
      if (whole.length <= MAX_KEY_BYTES) {
        const at = space.begin(GET_HEAD_BYTES + whole.length)
        const end = writeAscii(space.buffer, at + GET_HEAD_BYTES, whole)
        if (end > 0) {
          writeGetHead(space.buffer, at, whole.length)
          return this.#direct.read(end, this.#decodeGet, whole, options)
        }
      }
    }
    const bytes = this.#view.key(key)
    const at = space.begin(GET_HEAD_BYTES + bytes.length)
    writeGetHead(space.buffer, at, bytes.length)
    space.buffer.set(bytes, at + GET_HEAD_BYTES)
    return this.#direct.read(at + GET_HEAD_BYTES + bytes.length, this.#decodeGet, bytes, options)
  }

  /** Undefined: it takes the longer way. */
  put(key: K | KeyLike, value: V | Uint8Array, budget: Budget | undefined): Promise<Written<K, V>> | undefined {
    if (!this.#plainKeys) return undefined
    if (value instanceof Uint8Array && (!this.#byteValues || value.length > HOT_VALUE_BYTES)) return undefined
    const space = this.#direct.operations
    let keyPart = typeof key === 'string' && key.length > 0 && key.length <= MAX_KEY_BYTES ? key : this.#view.key(key)
    let valuePart = value instanceof Uint8Array ? value : this.#valuePart(key, value)
    if (valuePart.length > MAX_VALUE_BYTES)
      checkValue(this.#view.key(key), bytesOf(valuePart, this.#text), 'value', this.#text)
    let at = writePut(space, keyPart, valuePart)
    if (at < 0) {
      keyPart = this.#view.key(key)
      valuePart = bytesOf(valuePart, this.#text)
      at = writePut(space, keyPart, valuePart)
    }
    const keyAt = at + PUT_HEAD_BYTES
    const valueAt = keyAt + keyPart.length
    const end = valueAt + valuePart.length
    const written: Written<K, V> = {
      key:
        this.#textKeys && typeof keyPart === 'string' ? (key as K) : this.#keys.decodeAt(space.buffer, keyAt, valueAt),
      value: value instanceof Uint8Array ? this.#given(value) : value,
      version: 0,
    }
    if (budget === undefined) return this.#direct.submit(end, this.#decodePut, written)
    return this.#direct.submit(end, this.#decoderOfPut(budget), written, budget.next('put'))
  }

  #decoderOfPut(budget: Budget | undefined): DecodePut<K, V> {
    // A promise that is given for an answer settles the call as it settles itself.
    return (buffer, start, end, written) =>
      buffer[start] === WRITE_BLOCKED ? this.#again(written, budget) : decodePut(buffer, start, end, written)
  }

  #valuePart(key: K | KeyLike, value: V): string | Uint8Array {
    try {
      if (this.#values.toText === undefined) return asBytes(this.#values.encode(value))
      const text = this.#values.toText(value)
      return text.length > SHORT_TEXT ? this.#text.encode(text) : text
    } catch (error) {
      throw this.#view.unfit('value', this.#view.key(key), error, 'not-applied')
    }
  }

  // Buffers are given back as Buffers.
  #given(value: Uint8Array): V {
    return value.constructor === Uint8Array ? this.#values.decodeAt(value, 0, value.length) : this.#values.decode(value)
  }
}

function decodePut<K, V>(buffer: Uint8Array, start: number, end: number, written: Written<K, V>): Written<K, V> {
  if (end < start + WRITE_OK_BYTES || buffer[start] !== WRITE_OK) throw unexpected(buffer.subarray(start, end))
  written.version = readU53(buffer, start + 1)
  return written
}

function unexpected(reply: Uint8Array): Error {
  const { kind } = decodeWriteReply(reply)
  const message = `put: answered with ${kind} for conditions that were not sent`
  return new CoppiceError(message, { code: 'INTERNAL', outcome: 'unknown' })
}

/** Writes the operation into the space and answers where it begins; -1: some of it is not ASCII. */
function writePut(space: Space, key: string | Uint8Array, value: string | Uint8Array): number {
  const at = space.begin(PUT_HEAD_BYTES + key.length + value.length)
  const { buffer } = space
  writePutHead(buffer, at, key.length)
  const afterKey = writePart(buffer, at + PUT_HEAD_BYTES, key)
  if (afterKey < 0 || writePart(buffer, afterKey, value) < 0) return -1
  return at
}

function writePart(buffer: Uint8Array, at: number, part: string | Uint8Array): number {
  if (typeof part === 'string') return writeAscii(buffer, at, part)
  buffer.set(part, at)
  return at + part.length
}

/** Where the written text ends; -1: it is not ASCII. */
function writeAscii(buffer: Uint8Array, at: number, text: string): number {
  const n = text.length
  for (let i = 0; i < n; i++) {
    const c = text.charCodeAt(i)
    if (c > 127) return -1
    buffer[at + i] = c
  }
  return at + n
}

function bytesOf(part: string | Uint8Array, text: TextPort): Uint8Array {
  return typeof part === 'string' ? text.encode(part) : part
}
