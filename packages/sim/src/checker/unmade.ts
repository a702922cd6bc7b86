// A refutation that needs no search: a value that was found must have been made by something that was invoked before it was found, and
// must not have been replaced for certain before it was looked for.
import { ABSENT } from './states.js'
import { CAS, READ, makes } from './encode.js'
import { Windows, firstAbove } from './windows.js'
import type { Encoded } from './encode.js'

interface Makers {
  /** Lines of invocation, rising, and the latest answer up to there. */
  readonly calls: number[]
  readonly latestTo: number[]
}

/** An operation that found what cannot have been there; `alone`: nothing ever makes it. Not for texts that grow. */
export function foundUnmade(h: Encoded): { readonly op: number; readonly alone: boolean } | undefined {
  if (h.states.appends) return undefined
  const makersByState = new Map<number, Makers>([[ABSENT, { calls: [-1], latestTo: [-1] }]])
  for (const event of h.events) {
    const op = event >> 1
    const state = makes(h, op)
    if ((event & 1) === 1 || h.kind[op] === READ || state < 0) continue
    let makers = makersByState.get(state)
    if (makers === undefined) makersByState.set(state, (makers = { calls: [], latestTo: [] }))
    makers.calls.push(h.calls[op]!)
    makers.latestTo.push(Math.max(makers.latestTo.at(-1) ?? -1, h.returns[op]!))
  }
  const windows = new Windows(h)
  for (let op = 0; op < h.n; op++) {
    if ((h.kind[op] !== READ && h.kind[op] !== CAS) || h.returns[op] === Infinity) continue
    const state = h.a[op]!
    const makers = makersByState.get(state)
    const latest = makers?.latestTo[firstAbove(makers.calls, h.returns[op]!) - 1]
    if (latest === undefined || windows.endOf(state, latest) < h.calls[op]!) {
      return { op, alone: makers === undefined }
    }
  }
  return undefined
}
