// Names and values of the records. Names are made before the measurement where there are not too many; values are a few random ones in
// turn, so that nothing along the way can compress or share them.
import { randomFillSync } from 'node:crypto'

const MAX_PREPARED_NAMES = 200_000
const DIGITS = 9
const MAX_VALUES = 256
const VALUES_BYTES = 4 * 1024 * 1024

export interface DatasetOptions {
  readonly keys: number
  readonly valueBytes: number
  /** Names what this run inserts apart from what others have. */
  readonly run: string
}

export class Dataset {
  readonly keys: number
  readonly valueBytes: number
  /** Every name begins with it. Values of another size have other names. */
  readonly prefix: string
  readonly #insertPrefix: string
  readonly #names: readonly string[]
  readonly #values: readonly Buffer[]
  #turn = 0

  constructor({ keys, valueBytes, run }: DatasetOptions) {
    this.keys = keys
    this.valueBytes = valueBytes
    this.prefix = `bench/${valueBytes}/`
    this.#insertPrefix = `bench-inserted/${run}/`
    this.#names = Array.from({ length: keys <= MAX_PREPARED_NAMES ? keys : 0 }, (_, n) => flat(this.#nameOf(n)))
    const values = Math.max(1, Math.min(MAX_VALUES, Math.floor(VALUES_BYTES / Math.max(valueBytes, 1))))
    const bytes = randomFillSync(Buffer.allocUnsafeSlow(values * valueBytes))
    this.#values = Array.from({ length: values }, (_, n) => bytes.subarray(n * valueBytes, (n + 1) * valueBytes))
  }

  name(key: number): string {
    return this.#names[key] ?? this.#nameOf(key)
  }

  /** The key of a name under `prefix`; undefined when it has none. */
  keyOf(name: string): number | undefined {
    const key = Number(name.slice(this.prefix.length))
    return Number.isInteger(key) && key < this.keys && name === this.name(key) ? key : undefined
  }

  /** Not to be changed; a Buffer, for clients that take nothing else. */
  value(): Uint8Array {
    this.#turn = this.#turn + 1 < this.#values.length ? this.#turn + 1 : 0
    return this.#values[this.#turn]!
  }

  #nameOf(key: number): string {
    return `${key < this.keys ? this.prefix : this.#insertPrefix}${String(key).padStart(DIGITS, '0')}`
  }
}

/** The same text in one piece, where joining made a tree of its parts. */
function flat(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}
