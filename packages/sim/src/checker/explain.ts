// The smallest offending part of a history that is not linearizable, and words for it. Operations are taken away as long as the rest
// still contradicts itself; only such are taken whose absence cannot make a contradiction by itself.
import { canonical } from './json.js'
import { checkKey } from './check-key.js'
import type { KeyResult } from './check-key.js'
import type { Budget } from './search.js'
import type { Operation } from './history.js'
import type { Json } from './json.js'

/** Operations that may be checked, again and again, in the search for a smaller part. */
const MAX_WORK = 1_500_000
/** Slices of the budget for one such check: to walk the part takes more, the longer it is. */
const SLICES = 64
const OPERATIONS_PER_SLICE = 128
/** Operations listed one by one. */
const MAX_LISTED = 24

type Contradicts = (part: readonly Operation[]) => boolean

/** `own`: all operations of the key; `refuted`: what the check found. */
export function explain(
  own: readonly Operation[],
  refuted: Extract<KeyResult, { verdict: 'illegal' }>,
  budget: Budget,
): { part: readonly Operation[]; message: string } {
  let work = 0
  const mayGoOn = (): boolean => work < MAX_WORK && budget()
  const contradicts: Contradicts = (part) => {
    work += part.length + 100
    let slices = SLICES + part.length / OPERATIONS_PER_SLICE
    return mayGoOn() && checkKey(part, () => --slices > 0 && budget()).verdict === 'illegal'
  }
  const { among } = refuted
  const start = among.length > 0 && contradicts(among) ? among : earliestPrefix(own, refuted.notBefore, contradicts)
  const part = shrink(start, contradicts, mayGoOn)
  return { part, message: words(own, part) }
}

// The shortest beginning that is already a contradiction; whether a beginning is one can only change from no to yes.
function earliestPrefix(own: readonly Operation[], notBefore: number, contradicts: Contradicts): readonly Operation[] {
  const ends = own.map(({ completed }) => completed).filter((end) => end >= notBefore && end !== Infinity)
  ends.sort((x, y) => x - y)
  let low = 0
  let high = Math.min(15, ends.length - 1)
  // The contradiction is seldom far from where the search stood.
  while (high < ends.length - 1 && !contradicts(prefix(own, ends[high]!))) {
    low = high + 1
    high = Math.min(high * 4, ends.length - 1)
  }
  while (low < high) {
    const middle = (low + high) >>> 1
    if (contradicts(prefix(own, ends[middle]!))) high = middle
    else low = middle + 1
  }
  const found = high < 0 ? own : prefix(own, ends[high]!)
  return contradicts(found) ? found : own
}

/** What was known on line `end`: what was answered later is still open, and then reads and failed comparisons say nothing. */
function prefix(own: readonly Operation[], end: number): Operation[] {
  return own
    .filter(
      ({ f, outcome, invoked, completed }) =>
        completed <= end || (invoked < end && f !== 'read' && (f !== 'cas' || outcome !== 'fail')),
    )
    .map((o) => (o.completed <= end || o.outcome === 'fail' ? o : { ...o, outcome: 'open', completed: Infinity }))
}

function shrink(all: readonly Operation[], contradicts: Contradicts, mayGoOn: () => boolean): readonly Operation[] {
  let part = all
  for (let size = Math.ceil(all.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = part.length; at > 0; at -= size) {
      if (!mayGoOn()) return part
      // From the end, so that what a value's readers leave behind is free to go when its writer is reached.
      const from = Math.max(0, at - size)
      const rest = part.filter((_, i) => i < from || i >= at)
      if (rest.length < part.length && removable(part.slice(from, at), rest) && contradicts(rest)) part = rest
    }
  }
  return part
}

// Reads and failed comparisons only constrain. A mutation may go when nothing left needs what it makes: then whatever explains the
// whole would also explain the rest.
function removable(gone: readonly Operation[], rest: readonly Operation[]): boolean {
  const mutations = gone.filter(isMutation)
  if (mutations.length === 0) return true
  if (rest.some(({ f, outcome }) => f === 'append' || (f === 'cas' && outcome === 'fail'))) return false
  const asked = new Set<string>()
  for (const { f, value, outcome } of rest) {
    if (f === 'read' && outcome === 'ok') asked.add(canonical(value))
    if (f === 'cas') asked.add(canonical((value as readonly Json[])[0]))
  }
  return mutations.every(
    ({ f, value }) => f !== 'append' && !asked.has(canonical(f === 'cas' ? (value as readonly Json[])[1] : value)),
  )
}

function isMutation({ f, outcome }: Operation): boolean {
  return f === 'write' || f === 'append' || (f === 'cas' && outcome !== 'fail')
}

function words(own: readonly Operation[], part: readonly Operation[]): string {
  const ordered = [...part].sort((x, y) => x.invoked - y.invoked)
  // Where a part is long, it is one that was right up to its last answers.
  const lines = ordered.slice(-MAX_LISTED).map((operation) => `  ${describe(operation)}`)
  if (ordered.length > MAX_LISTED) lines.unshift(`  … ${ordered.length - MAX_LISTED} earlier ones, and then`)
  const key = own[0]!.key
  const head =
    ordered.length === 1
      ? `key ${key}: this operation alone cannot be explained; nothing made the value it found`
      : `key ${key}: no order of these ${ordered.length} of its ${own.length} operations explains all their answers`
  return [head, ...lines].join('\n')
}

/** One operation in plain words, with its lines. */
export function describe({ process, f, value, outcome, invoked, completed }: Operation): string {
  const span = completed === Infinity ? `line ${invoked}, no answer` : `lines ${invoked}–${completed}`
  return `process ${process} ${deed(f, value, outcome)} (${span})`
}

function deed(f: Operation['f'], value: Json, outcome: Operation['outcome']): string {
  if (f === 'read') return outcome === 'ok' ? `read ${shown(value)}` : 'read without an answer'
  if (f === 'write') return `${outcome === 'open' ? 'may have written' : 'wrote'} ${shown(value)}`
  if (f === 'append') return `${outcome === 'open' ? 'may have appended' : 'appended'} ${shown(value ?? '')}`
  const [old, next] = value as readonly Json[]
  if (outcome === 'fail') return `found something other than ${shown(old)} (failed cas to ${shown(next)})`
  return `${outcome === 'open' ? 'may have changed' : 'changed'} ${shown(old)} to ${shown(next)}`
}

function shown(value: Json): string {
  const text = value === null || value === undefined ? 'absent' : canonical(value)
  return text.length <= 80 ? text : `${text.slice(0, 38)}…${text.slice(-38)}`
}
