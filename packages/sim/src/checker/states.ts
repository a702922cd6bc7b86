// Small integers for the states a register can be in. Values that no read and no comparison ever asks for behave alike and share one
// state (DEAD); with appends, a text is kept only while it is the beginning of some text that is asked for.
import { canonical } from './json.js'
import type { Json } from './json.js'
import type { Operation } from './history.js'

/** Any state that nothing asks for: text (and null never is). */
export const DEAD = 0
/** The same for values that are neither text nor null, to which nothing can be appended. */
export const DEAD_OTHER = 1
/** Absent: the state before the first write. */
export const ABSENT = 2

// What a text state stands for: the first `length` units of texts[low … high), which all begin so; no other text does.
interface Prefix {
  readonly low: number
  readonly high: number
  readonly length: number
}

/** Interns the states of one key. `wanted` are the values that reads return and comparisons name. */
export class States {
  /** True when the key has appends, so that text states are beginnings of wanted texts. */
  readonly appends: boolean
  private readonly idByCanon = new Map<string, number>([['null', ABSENT]])
  private readonly idByPrefix = new Map<string, number>()
  // Wanted texts of which none begins another, sorted: those beginning with a given text stand side by side.
  private readonly texts: string[] = []
  private readonly prefixes = new Map<number, Prefix>()
  private readonly appendCache = new Map<number, Map<string, number>>()
  private readonly empty: Prefix
  private count = 3

  constructor(wanted: Iterable<Json>, appends: boolean) {
    this.appends = appends
    const texts = new Set<string>()
    for (const value of wanted) {
      if (appends && typeof value === 'string') texts.add(value)
      else this.intern(canonical(value))
    }
    const sorted = [...texts].sort(byUnits)
    sorted.forEach((text, i) => {
      if (!(sorted[i + 1]?.startsWith(text) ?? false)) this.texts.push(text)
    })
    this.empty = { low: 0, high: this.texts.length, length: 0 }
  }

  /** Number of states made so far. */
  get size(): number {
    return this.count
  }

  /** State of a value. */
  of(value: Json): number {
    if (this.appends && typeof value === 'string') return this.extend(this.empty, value)
    const dead = this.appends && value !== null && typeof value !== 'string' ? DEAD_OTHER : DEAD
    return this.idByCanon.get(canonical(value)) ?? dead
  }

  /** State after appending; -1 when nothing can be appended to it. */
  append(state: number, text: string): number {
    if (state === DEAD) return DEAD
    if (state === ABSENT) return this.extend(this.empty, text)
    const prefix = this.prefixes.get(state)
    if (prefix === undefined) return -1
    let after = this.appendCache.get(state)
    if (after === undefined) this.appendCache.set(state, (after = new Map()))
    let to = after.get(text)
    if (to === undefined) after.set(text, (to = this.extend(prefix, text)))
    return to
  }

  private intern(canon: string): number {
    let id = this.idByCanon.get(canon)
    if (id === undefined) this.idByCanon.set(canon, (id = this.count++))
    return id
  }

  // The state of the prefix that texts[low … high) share up to `length`, followed by `text`.
  private extend({ low, high, length }: Prefix, text: string): number {
    const first = this.partition(low, high, (candidate) => candidate.slice(length, length + text.length) < text)
    const end = this.partition(first, high, (candidate) => candidate.startsWith(text, length))
    if (first === end) return DEAD
    const total = length + text.length
    const key = `${first}:${total}`
    let id = this.idByPrefix.get(key)
    if (id === undefined) {
      this.idByPrefix.set(key, (id = this.count++))
      this.prefixes.set(id, { low: first, high: end, length: total })
    }
    return id
  }

  // First index in [low, high) whose text does not satisfy `before`, which holds for a beginning of that range.
  private partition(low: number, high: number, before: (text: string) => boolean): number {
    while (low < high) {
      const middle = (low + high) >>> 1
      if (before(this.texts[middle]!)) low = middle + 1
      else high = middle
    }
    return low
  }
}

// Order by UTF-16 units, which is the order `<` and slices use.
function byUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** The values of one key that reads return and comparisons name; what is open asks for nothing by itself except a cas. */
export function* wantedValues(operations: readonly Operation[]): Generator<Json> {
  for (const { f, outcome, value } of operations) {
    if (f === 'read' && outcome === 'ok') yield value
    if (f === 'cas') yield (value as readonly Json[])[0] ?? null
  }
}
