// Whether a recorded history is linearizable: each key by itself (linearizability is local), by the polynomial check where values are
// unique, by search otherwise.
import { checkKey } from './check-key.js'
import { explain } from './explain.js'
import type { Budget } from './search.js'
import type { Operation } from './history.js'

/** Of one check. */
export interface CheckOptions {
  /** Says whether to go on; asked every thousand steps. Without one the search ends when it knows. */
  readonly budget?: Budget
}

/** What a check came to. */
export type CheckResult =
  | { readonly verdict: 'ok'; readonly operations: number; readonly keys: number }
  /** Out of time; `keys` could not be decided. */
  | { readonly verdict: 'unknown'; readonly keys: readonly string[] }
  | {
      readonly verdict: 'illegal'
      /** Canonical text of the key. */
      readonly key: string
      /** The smallest part that was found which no order explains. */
      readonly part: readonly Operation[]
      /** The same in plain words, several lines. */
      readonly message: string
    }

/** Checks a history of registers that are absent at first. */
export function checkHistory(operations: readonly Operation[], options: CheckOptions = {}): CheckResult {
  const budget = options.budget ?? ((): boolean => true)
  const byKey = new Map<string, Operation[]>()
  for (const operation of operations) {
    const list = byKey.get(operation.key)
    if (list === undefined) byKey.set(operation.key, [operation])
    else list.push(operation)
  }
  const undecided: string[] = []
  // Short keys first: one of them may already refute the whole.
  for (const [key, own] of [...byKey].sort((x, y) => x[1].length - y[1].length)) {
    const result = checkKey(own, budget)
    if (result.verdict === 'illegal') return { verdict: 'illegal', key, ...explain(own, result, budget) }
    if (result.verdict === 'unknown') undecided.push(key)
  }
  if (undecided.length > 0) return { verdict: 'unknown', keys: undecided }
  return { verdict: 'ok', operations: operations.length, keys: byKey.size }
}
