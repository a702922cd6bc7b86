// The smallest offending part of a history that is not linearizable, and words for it. Operations are taken away as long as the rest
// still contradicts itself; only such are taken whose absence cannot make a contradiction by itself.
import { canonical } from './json.js'
import { checkKey } from './check-key.js'
import type { Budget } from './search.js'
import type { Operation } from './history.js'
import type { Json } from './json.js'

/** Checks of parts that the search for a smaller one may cost. */
const MAX_CHECKS = 400
/** Operations listed one by one. */
const MAX_LISTED = 24

/** `own`: all operations of the key; `hint`: operations among which the contradiction probably lies. */
export function explain(
  own: readonly Operation[],
  hint: readonly Operation[],
  budget: Budget,
): { part: readonly Operation[]; message: string } {
  let checks = 0
  const contradicts = (part: readonly Operation[]): boolean => {
    let steps = 64
    checks++
    return checkKey(part, () => --steps > 0 && budget()).verdict === 'illegal'
  }
  const start = hint.length === own.length || contradicts(hint) ? hint : own
  const part = shrink(start, (smaller) => checks < MAX_CHECKS && budget() && contradicts(smaller))
  return { part, message: words(own, part) }
}

function shrink(all: readonly Operation[], contradicts: (part: readonly Operation[]) => boolean): readonly Operation[] {
  let part = all
  for (let size = Math.ceil(all.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = part.length; at > 0; at -= size) {
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
  return mutations.every(({ f, value }) => f !== 'append' && !asked.has(canonical(f === 'cas' ? (value as readonly Json[])[1] : value)))
}

function isMutation({ f, outcome }: Operation): boolean {
  return f === 'write' || f === 'append' || (f === 'cas' && outcome !== 'fail')
}

function words(own: readonly Operation[], part: readonly Operation[]): string {
  const ordered = [...part].sort((x, y) => x.invoked - y.invoked)
  const lines = ordered.slice(0, MAX_LISTED).map((operation) => `  ${describe(operation)}`)
  if (ordered.length > MAX_LISTED) lines.push(`  … and ${ordered.length - MAX_LISTED} more`)
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
