// The operations of one key in the form the searches work on: five kinds over small-integer states, in typed arrays.
import { ABSENT, DEAD, DEAD_OTHER, States, wantedValues } from './states.js'
import type { Operation } from './history.js'
import type { Json } from './json.js'

/** Source of what was found (sources.ts): the state before the first write. */
export const INITIAL = -1
/** It found nothing in particular: a write, a failed comparison, an append that nobody saw. */
export const NONE = -2

/** Requires state == a. */
export const READ = 0
/** Requires state != a (a comparison that failed). */
export const DIFFERS = 1
/** state := a */
export const WRITE = 2
/** Requires state == a; state := b. */
export const CAS = 3
/** state := state + text */
export const APPEND = 4

/** One key's history. Operation i was invoked at event calls[i] and answered at event returns[i] (Infinity: open, optional). */
export interface Encoded {
  readonly operations: readonly Operation[]
  readonly states: States
  readonly n: number
  readonly kind: Uint8Array
  readonly a: Int32Array
  readonly b: Int32Array
  readonly texts: readonly string[]
  /** Line of the invocation and of the answer. */
  readonly calls: Float64Array
  readonly returns: Float64Array
  /** Calls and returns in order: operation i as 2i (call) and 2i + 1 (return). */
  readonly events: Int32Array
  /** Whether some comparison must fail: then leaving a state matters, not only reaching one. */
  readonly hasDiffers: boolean
}

/** Drops what constrains nothing: failed writes and appends, reads without an answer. */
export function encode(all: readonly Operation[]): Encoded {
  const operations = all.filter(
    ({ f, outcome, value }) =>
      !(outcome === 'fail' && f !== 'cas') &&
      !(outcome === 'open' && f === 'read') &&
      // An open cas from a value to itself changes nothing.
      !(outcome === 'open' && f === 'cas' && sameEnds(value)),
  )
  const states = new States(
    wantedValues(operations),
    operations.some(({ f }) => f === 'append'),
  )
  const n = operations.length
  const kind = new Uint8Array(n)
  const a = new Int32Array(n)
  const b = new Int32Array(n)
  const calls = new Float64Array(n)
  const returns = new Float64Array(n)
  const texts: string[] = []
  operations.forEach((operation, i) => {
    const [k, x, y] = encodeOne(operation, states)
    kind[i] = k
    a[i] = x
    b[i] = y
    texts.push(k === APPEND ? String(operation.value ?? '') : '')
    calls[i] = operation.invoked
    returns[i] = operation.completed
  })
  return {
    operations,
    states,
    n,
    kind,
    a,
    b,
    texts,
    calls,
    returns,
    events: order(calls, returns),
    hasDiffers: kind.includes(DIFFERS),
  }
}

function sameEnds(value: Json): boolean {
  const states = new States(value as Json[], false)
  return states.of((value as Json[])[0] ?? null) === states.of((value as Json[])[1] ?? null)
}

function encodeOne({ f, value, outcome }: Operation, states: States): [kind: number, a: number, b: number] {
  switch (f) {
    case 'read':
      return [READ, states.of(value), DEAD]
    case 'write':
      return [WRITE, states.of(value), DEAD]
    case 'append':
      return [APPEND, DEAD, DEAD]
    case 'cas': {
      const [old, next] = value as readonly Json[]
      const from = states.of(old ?? null)
      const to = states.of(next ?? null)
      if (outcome === 'fail') return [DIFFERS, from, DEAD]
      // A cas that puts back what it found only observes.
      return from === to ? [READ, from, DEAD] : [CAS, from, to]
    }
  }
}

function order(calls: Float64Array, returns: Float64Array): Int32Array {
  const events: number[] = []
  const at: number[] = []
  calls.forEach((call, i) => {
    events.push(2 * i)
    at[2 * i] = call
    if (returns[i] === Infinity) return
    events.push(2 * i + 1)
    at[2 * i + 1] = returns[i]!
  })
  return Int32Array.from(events.sort((x, y) => at[x]! - at[y]!))
}

/** State after a mutation, -1 when it cannot take effect in `state`. */
export function after(h: Encoded, op: number, state: number): number {
  switch (h.kind[op]) {
    case WRITE:
      return h.a[op]!
    case CAS:
      return h.a[op] === state ? h.b[op]! : -1
    default:
      return h.states.append(state, h.texts[op]!)
  }
}

/** State that a mutation makes when it takes effect; -1 for an append, whose result depends on what it finds. */
export function makes(h: Encoded, op: number): number {
  return h.kind[op] === WRITE ? h.a[op]! : h.kind[op] === CAS ? h.b[op]! : -1
}

export { ABSENT, DEAD, DEAD_OTHER }
