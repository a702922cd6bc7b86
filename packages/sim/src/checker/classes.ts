// Mutations that do the same are interchangeable and form a class. Open ones (that may take effect at any later time, or never) are
// only counted by class, so that a thousand of them cost nothing until one is needed.
import { APPEND, CAS, WRITE } from './encode.js'
import type { Encoded } from './encode.js'

export class Classes {
  /** Class of each mutation; -1 for reads. */
  readonly of: Int32Array
  readonly count: number
  /** Whether some mutation depends on the state it finds. */
  readonly stateful: boolean
  /** Two random words for each class. */
  readonly high: Int32Array
  readonly low: Int32Array
  /** One operation of each class that has open ones; -1 for the others. */
  readonly openSample: Int32Array
  /** Classes with open operations, by what they do. */
  readonly openWriteTo = new Map<number, number>()
  readonly openCasFrom = new Map<number, number[]>()
  readonly openCasTo = new Map<number, number[]>()
  readonly openAppends: number[] = []

  constructor(h: Encoded) {
    const ids = new Map<string, number>()
    this.of = new Int32Array(h.n).fill(-1)
    const samples: number[] = []
    for (let op = 0; op < h.n; op++) {
      const kind = h.kind[op]!
      if (kind !== WRITE && kind !== CAS && kind !== APPEND) continue
      const name = kind === APPEND ? `append ${h.texts[op]}` : `${kind} ${h.a[op]} ${h.b[op]}`
      let id = ids.get(name)
      if (id === undefined) {
        ids.set(name, (id = ids.size))
        samples.push(-1)
      }
      this.of[op] = id
      if (h.returns[op] !== Infinity || samples[id]! >= 0) continue
      samples[id] = op
      if (kind === WRITE) this.openWriteTo.set(h.a[op]!, id)
      else if (kind === APPEND) this.openAppends.push(id)
      else {
        pushTo(this.openCasFrom, h.a[op]!, id)
        pushTo(this.openCasTo, h.b[op]!, id)
      }
    }
    this.count = ids.size
    this.stateful = h.kind.includes(CAS) || h.kind.includes(APPEND)
    this.openSample = Int32Array.from(samples)
    this.high = Int32Array.from(samples, (_, id) => mix(2 * id + 1))
    this.low = Int32Array.from(samples, (_, id) => mix(2 * id + 0x5bd1_e995))
  }

  /** Whether an open mutation other than one of class `except` could act on the state `to`. */
  openSees(left: Int32Array, except: number, to: number): boolean {
    const usable = (id: number): boolean => left[id]! > (id === except ? 1 : 0)
    return (this.openCasFrom.get(to)?.some(usable) ?? false) || this.openAppends.some(usable)
  }

  /** How often open mutations could make the state. */
  openMakes(left: Int32Array, state: number): number {
    let count = 0
    const write = this.openWriteTo.get(state)
    if (write !== undefined) count += left[write]!
    for (const id of this.openCasTo.get(state) ?? []) count += left[id]!
    return count
  }
}

function mix(seed: number): number {
  let x = Math.imul(seed ^ 0x9e37_79b9, 0x85eb_ca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2_ae35)
  x = Math.imul(x ^ (x >>> 16), 0x27d4_eb2f)
  return x ^ (x >>> 15)
}

function pushTo(lists: Map<number, number[]>, key: number, id: number): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [id])
  else list.push(id)
}
