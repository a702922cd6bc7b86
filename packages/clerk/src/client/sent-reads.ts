// The transmissions of reads whose answers are welcome, by id. Ids are consecutive and few are under way, so a place is id modulo the
// number of places; what is old enough to meet a later id at its place, and what was sent again, goes to a map.
import { assert } from '@coppice/protocol'
import type { Call } from './call.js'

/** A power of two. */
const PLACES = 4_096

export class SentReads {
  readonly #places: (Call | undefined)[] = Array.from({ length: PLACES }, () => undefined)
  readonly #others = new Map<number, Call>()

  get(id: number): Call | undefined {
    const call = this.#places[id & (PLACES - 1)]
    if (call !== undefined && call.id === id) return call
    return this.#others.size === 0 ? undefined : this.#others.get(id)
  }

  /** The newest transmission of `call`, under its id. */
  add(call: Call): void {
    const place = call.id & (PLACES - 1)
    const before = this.#places[place]
    if (before !== undefined) this.#others.set(before.id, before)
    this.#places[place] = call
  }

  /** `call` will get another id; an answer to its present one is still welcome. */
  keepEarlier(call: Call): void {
    assert(this.get(call.id) === call, 'only what was sent is sent again')
    this.delete(call.id)
    this.#others.set(call.id, call)
  }

  delete(id: number): void {
    const place = id & (PLACES - 1)
    if (this.#places[place]?.id === id) this.#places[place] = undefined
    else if (this.#others.size > 0) this.#others.delete(id)
  }

  /** All transmissions in the order of their ids. */
  entries(): [number, Call][] {
    const all: [number, Call][] = [...this.#others]
    for (const call of this.#places) if (call !== undefined) all.push([call.id, call])
    return all.sort(([a], [b]) => a - b)
  }
}
