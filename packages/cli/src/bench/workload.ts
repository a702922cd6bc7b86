// The stream of operations of one client process: of which kind the next one is, and on which key. Callers share it.
import { Inserts } from './inserts.js'
import { keyChooser } from './key-chooser.js'
import type { ChooseKey, Distribution } from './key-chooser.js'
import { GET, INSERT, KINDS, PUT, READ_MODIFY_WRITE } from './mixes.js'
import type { KindIndex, Mix } from './mixes.js'
import { Random } from './random.js'

export interface WorkloadOptions {
  readonly mix: Mix
  readonly distribution: Distribution
  /** Keys that were loaded before. */
  readonly keys: number
  readonly seed: number
  /** Which of how many client processes this is. */
  readonly client: number
  readonly clients: number
}

export class Workload {
  /** Of the operation that `next` chose: place among this client's keys, and number of the key. */
  place = 0
  key = 0
  readonly #random: Random
  readonly #inserts: Inserts
  readonly #chooseKey: ChooseKey
  /** Random numbers below these mean get, put, insert; the others read-modify-write. */
  readonly #ends: readonly [number, number, number]

  constructor({ mix, distribution, keys, seed, client, clients }: WorkloadOptions) {
    this.#random = new Random(seed + client)
    const inserts = new Inserts(keys, client, clients)
    this.#inserts = inserts
    this.#chooseKey = keyChooser(distribution, keys, this.#random, () => inserts.present)
    const shares = KINDS.map((kind) => mix.shares[kind] ?? 0)
    const total = shares.reduce((sum, share) => sum + share, 0)
    if (Math.abs(total - 1) > 1e-9) throw new RangeError(`the shares of a mix make ${total}, not 1`)
    this.#ends = [shares[GET]!, shares[GET]! + shares[PUT]!, 1 - shares[READ_MODIFY_WRITE]!]
  }

  /** Chooses an operation: returns its kind, and sets `place` and `key`. */
  next(): KindIndex {
    const ends = this.#ends
    const u = this.#random.fraction()
    const kind = u < ends[0] ? GET : u < ends[1] ? PUT : u < ends[2] ? INSERT : READ_MODIFY_WRITE
    this.place = kind === INSERT ? this.#inserts.next() : this.#chooseKey()
    this.key = this.#inserts.keyAt(this.place)
    return kind
  }

  /** The insert at this place has been acknowledged. */
  inserted(place: number): void {
    this.#inserts.acknowledge(place)
  }
}
