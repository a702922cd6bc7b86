// The definition of linearizability, tried out: every order of every subset. For small histories only.
import type { Operation } from '../../../packages/sim/src/checker/index.js'

type Value = unknown

const same = (a: Value, b: Value): boolean => JSON.stringify(a ?? null) === JSON.stringify(b ?? null)

/** State after the operation, or undefined when its answer could not be given in this state. */
function step(state: Value, { f, value, outcome }: Operation): { to: Value } | undefined {
  const [old, next] = f === 'cas' ? (value as Value[]) : []
  if (f === 'write') return { to: value }
  if (f === 'append')
    return typeof state === 'string' || state === null ? { to: (state ?? '') + String(value ?? '') } : undefined
  if (f === 'read') return outcome === 'open' || same(state, value) ? { to: state } : undefined
  if (outcome === 'fail') return same(state, old) ? undefined : { to: state }
  return same(state, old) ? { to: next ?? null } : undefined
}

export function bruteForce(all: readonly Operation[]): boolean {
  const keys = new Set(all.map(({ key }) => key))
  return [...keys].every((key) =>
    explainable(all.filter((o) => o.key === key && !(o.outcome === 'fail' && o.f !== 'cas'))),
  )
}

function explainable(operations: readonly Operation[]): boolean {
  const dead = new Set<string>()
  const go = (left: readonly Operation[], state: Value): boolean => {
    if (left.every(({ outcome }) => outcome === 'open')) return true
    const key = `${left.map((o) => o.invoked).join()} ${JSON.stringify(state)}`
    if (dead.has(key)) return false
    const firstAnswer = Math.min(...left.map(({ completed }) => completed))
    for (const operation of left) {
      if (operation.invoked > firstAnswer) continue
      const after = step(state, operation)
      if (
        after !== undefined &&
        go(
          left.filter((o) => o !== operation),
          after.to,
        )
      )
        return true
    }
    dead.add(key)
    return false
  }
  return go(operations, null)
}
