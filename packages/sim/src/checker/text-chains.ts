// Which appends made the texts that were read: a text is taken apart from its end. Where each step fits one operation only, the order of
// all appends in it is known.
import { ABSENT, APPEND, CAS, INITIAL, READ, WRITE } from './encode.js'
import type { Encoded } from './encode.js'

/** A place in a text where one operation ended: the state there and who made it. */
interface Place {
  readonly state: number
  readonly maker: number
}

export class TextChains {
  /** The operation before each append that was seen. */
  readonly sources = new Map<number, number>()
  /** Who made each text on the way. */
  readonly makers = new Map<number, number>()
  /** Operations that contradict each other, if any were met. */
  offending: readonly number[] | undefined
  private readonly h: Encoded
  private readonly writerOf: ReadonlyMap<number, number>
  private readonly appendsByText = new Map<string, number[]>()
  private readonly lengths: number[]
  private readonly writtenLengths = new Set<number>()

  constructor(h: Encoded, writerOf: ReadonlyMap<number, number>) {
    this.h = h
    this.writerOf = writerOf
    for (let op = 0; op < h.n; op++) {
      const { f, value } = h.operations[op]!
      const written = f === 'cas' ? (value as readonly unknown[])[1] : value
      if ((h.kind[op] === WRITE || h.kind[op] === CAS) && typeof written === 'string')
        this.writtenLengths.add(written.length)
      if (h.kind[op] !== APPEND) continue
      const list = this.appendsByText.get(h.texts[op]!)
      if (list === undefined) this.appendsByText.set(h.texts[op]!, [op])
      else list.push(op)
    }
    this.lengths = [...new Set([...this.appendsByText.keys()].map((text) => text.length))]
  }

  /** False when some step fits several operations, or none that this way of looking sees. */
  follow(): boolean {
    if (this.lengths.includes(0)) return false
    let before = ''
    let places = new Map<number, Place>()
    let reach = new Set<number>()
    for (const [text, reader] of this.longestRead()) {
      const shared = sharedLength(before, text)
      reach = this.reachable(text, new Set([...reach].filter((at) => at <= shared)))
      const next = this.followOne(text, shared, places, reach)
      if (next === undefined) return false
      if (next === 'nobody') {
        this.offending = [reader]
        return true
      }
      if (this.offending !== undefined) return true
      before = text
      places = next
    }
    return true
  }

  // Texts that answered operations found, of which none begins another, in order; each with one operation that found it.
  private longestRead(): [text: string, reader: number][] {
    const { h } = this
    const readers = new Map<string, number>()
    for (let op = 0; op < h.n; op++) {
      if ((h.kind[op] !== READ && h.kind[op] !== CAS) || h.returns[op] === Infinity) continue
      const { f, value } = h.operations[op]!
      const found = f === 'cas' ? (value as readonly unknown[])[0] : value
      if (typeof found === 'string') readers.set(found, op)
    }
    const sorted = [...readers].sort((x, y) => (x[0] < y[0] ? -1 : 1))
    return sorted.filter(([text], i) => !(sorted[i + 1]?.[0].startsWith(text) ?? false))
  }

  // Places in `text` at which what came before can have been made by some operations; `known` of them are in a beginning already.
  private reachable(text: string, known: Set<number>): Set<number> {
    known.add(0)
    for (const length of this.writtenLengths)
      if (length <= text.length && this.rootsOf(text, length).length > 0) known.add(length)
    // A set grows while it is walked: every place is looked at once.
    for (const at of known)
      for (const n of this.lengths)
        if (this.appendsByText.has(text.slice(at, at + n)) && at + n <= text.length) known.add(at + n)
    return known
  }

  // Takes `text` apart down to a place that is known from the text before it, or to its first write.
  private followOne(
    text: string,
    shared: number,
    known: ReadonlyMap<number, Place>,
    reach: ReadonlySet<number>,
  ): Map<number, Place> | 'nobody' | undefined {
    const { h } = this
    const back: number[] = []
    let length = text.length
    let place = length <= shared ? known.get(length) : undefined
    while (place === undefined) {
      const roots = this.rootsOf(text, length)
      const appends = this.lengths.flatMap((n) =>
        reach.has(length - n) ? (this.appendsByText.get(text.slice(length - n, length)) ?? []) : [],
      )
      if (roots.length + appends.length > 1) return undefined
      if (roots.length === 1) {
        const maker = roots[0]!
        place = { state: maker === INITIAL ? ABSENT : h.states.of(text.slice(0, length)), maker }
        break
      }
      if (appends.length === 0) return 'nobody'
      back.push(appends[0]!)
      length -= h.texts[appends[0]!]!.length
      place = length <= shared ? known.get(length) : undefined
    }
    const places = new Map([...known].filter(([at]) => at <= length))
    places.set(length, place)
    for (const op of back.reverse()) {
      const source = place.maker
      const other = this.sources.get(op)
      if (other !== undefined && other !== source) this.offending = [op]
      this.sources.set(op, source)
      length += h.texts[op]!.length
      place = { state: h.states.append(place.state, h.texts[op]!), maker: op }
      this.makers.set(place.state, op)
      places.set(length, place)
    }
    return places
  }

  // Who can have made the first `length` characters other than by an append.
  private rootsOf(text: string, length: number): number[] {
    const initial = length === 0 ? [INITIAL] : []
    if (!this.writtenLengths.has(length)) return initial
    const writer = this.writerOf.get(this.h.states.of(text.slice(0, length)))
    return writer === undefined ? initial : [...initial, writer]
  }
}

function sharedLength(a: string, b: string): number {
  const most = Math.min(a.length, b.length)
  let low = 0
  let high = most
  // The beginning that both share is found by halves: comparing slices is native.
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if (a.slice(low, middle) === b.slice(low, middle)) low = middle
    else high = middle - 1
  }
  return low
}
