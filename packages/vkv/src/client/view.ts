// One view of the store: how its user's keys and values become bytes and come back. Keys may have a prefix that the user does not see.
import { CoppiceError, EMPTY_BYTES, type Outcome, type TextPort } from '@coppice/protocol'
import type { Found } from '../core/replies.js'
import { asBytes, bytesCodec, checkKey, checkValue, encodeWith, type Codec } from './codecs.js'
import { InvalidValueError } from './invalid-value.js'
import type { KeyLike, KvEntry } from './kv-types.js'

/**
 * How the keys and values of one view become bytes and come back.
 * @internal
 */
export class View<K, V> {
  readonly text: TextPort
  readonly keys: Codec<K>
  readonly values: Codec<V>
  /** Before every key; '': none. */
  readonly prefix: string
  readonly #prefixBytes: Uint8Array

  constructor(text: TextPort, keys: Codec<K>, values: Codec<V>, prefix: string) {
    this.text = text
    this.keys = keys
    this.values = values
    this.prefix = prefix
    this.#prefixBytes = prefix === '' ? EMPTY_BYTES : text.encode(prefix)
  }

  /** The key in the store. A copy: the caller may write over its bytes while the call is under way. */
  key(key: K | KeyLike): Uint8Array {
    const bytes = this.bound(key)
    checkKey(bytes.length === this.#prefixBytes.length ? EMPTY_BYTES : bytes, 'key', this.text)
    return bytes
  }

  /** The same for the bound of a range: it may be empty. */
  bound(key: K | KeyLike | undefined): Uint8Array {
    if (key === undefined) return EMPTY_BYTES
    if (typeof key === 'string') return this.text.encode(this.prefix + key)
    const bytes = encodeWith(this.keys, key as K | Uint8Array)
    const own = this.#prefixBytes
    if (own.length === 0) return bytesCodec.decode(bytes)
    const whole = new Uint8Array(own.length + bytes.length)
    whole.set(own)
    whole.set(bytes, own.length)
    return whole
  }

  /** What all keys begin with that begin with `prefix` here. */
  prefixOf(prefix: KeyLike | undefined): Uint8Array {
    if (prefix === undefined) return this.#prefixBytes
    if (typeof prefix === 'string') return this.text.encode(this.prefix + prefix)
    const own = this.#prefixBytes
    const whole = new Uint8Array(own.length + asBytes(prefix).length)
    whole.set(own)
    whole.set(prefix, own.length)
    return whole
  }

  /** Throws TOO_LARGE, or what the codec has to say, naming the key. */
  value(key: Uint8Array, value: V | Uint8Array, what: string): Uint8Array {
    let bytes: Uint8Array
    try {
      bytes = encodeWith(this.values, value)
    } catch (error) {
      throw this.unfit(what, key, error, 'not-applied')
    }
    checkValue(key, bytes, what, this.text)
    return bytes
  }

  /** The user's key of one in the store. */
  userKey(key: Uint8Array): K {
    return this.keys.decode(this.#prefixBytes.length === 0 ? key : key.subarray(this.#prefixBytes.length))
  }

  /** `outcome`: of the call that has read the value. */
  decode(key: Uint8Array, value: Uint8Array, outcome: Outcome = 'not-applied'): V {
    try {
      return this.values.decode(value)
    } catch (error) {
      throw this.unfit('the stored value', key, error, outcome)
    }
  }

  entry(key: Uint8Array, found: Found, outcome?: Outcome): KvEntry<K, V> {
    return { key: this.userKey(key), value: this.decode(key, found.value, outcome), version: found.version }
  }

  /** What a codec has thrown, as an error that names the key. `key`: as it is in the store. */
  unfit(what: string, key: Uint8Array | string, error: unknown, outcome: Outcome): CoppiceError {
    if (error instanceof CoppiceError) return error
    return new InvalidValueError(what, typeof key === 'string' ? key : this.text.decode(key), error, outcome)
  }
}
