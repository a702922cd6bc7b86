// Blocks in an order make a whole history; failed comparisons are put where they fit, and the result is played through. An order that
// plays through is proof, whatever made it.
import { ABSENT, DIFFERS, INITIAL, READ, after } from './encode.js'
import type { Encoded } from './encode.js'
import { forwardBlocks, membersOf, zoneBefore } from './blocks.js'
import type { Block, Following } from './blocks.js'

/** Times that a failed comparison without a place makes other blocks move. */
const ROUNDS = 16

/** True when the blocks, with all failed comparisons between them, were put into an order that explains every answer. */
export function findWitness(h: Encoded, blocks: readonly Block[], following: Following): boolean {
  const schedule = new Schedule(blocks)
  for (let round = 0; round < ROUNDS; round++) {
    const { whole, homeless } = withDiffers(h, schedule.order(h, following))
    if (homeless.length === 0) return playsThrough(h, whole)
    if (!homeless.every((op) => schedule.makeRoom(h, op))) return false
  }
  return false
}

/** The moment at which each block is. */
class Schedule {
  private readonly forward: readonly Block[]
  private readonly places: { readonly block: Block; moment: number }[]

  constructor(blocks: readonly Block[]) {
    this.forward = forwardBlocks(blocks)
    // A zone at its beginning, any other block as soon as it can be outside of zones.
    this.places = blocks.map((block) => ({
      block,
      moment: block.firstReturn < block.lastCall ? block.firstReturn : this.outsideZones(block.lastCall),
    }))
  }

  order(h: Encoded, following: Following): number[] {
    // Two blocks at one moment: the one that must be done first goes first.
    const sorted = [...this.places].sort((x, y) => x.moment - y.moment || x.block.firstReturn - y.block.firstReturn)
    const order: number[] = []
    for (const { block } of sorted)
      for (const group of membersOf(block, following))
        order.push(...[...group].sort((x, y) => h.returns[x]! - h.returns[y]!))
    return order
  }

  /** Moves a block to where it changes the state while the failed comparison is pending. */
  makeRoom(h: Encoded, differs: number): boolean {
    for (const place of this.places) {
      const { firstReturn, lastCall } = place.block
      const latest = Math.min(firstReturn, h.returns[differs]!)
      const earliest = Math.max(lastCall, h.calls[differs]!)
      if (firstReturn < lastCall || earliest >= latest || place.block.root === INITIAL) continue
      const moment = this.outsideZones(earliest)
      if (moment >= latest || moment === place.moment) continue
      place.moment = moment
      return true
    }
    return false
  }

  private outsideZones(moment: number): number {
    const zone = zoneBefore(this.forward, moment)
    return zone === undefined ? moment : Math.max(moment, zone.lastCall)
  }
}

// Puts each failed comparison into the last gap in which the state differs and that lies between its lines: there it delays nothing else.
// Homeless are those for which there is none.
function withDiffers(h: Encoded, order: readonly number[]): { whole: number[]; homeless: number[] } {
  const n = order.length
  // Gap i lies behind the first i operations, at the earliest from `from[i]` on and at the latest until `to[i]`.
  const from = new Float64Array(n + 1).fill(-1)
  const to = new Float64Array(n + 1).fill(Infinity)
  const states = new Int32Array(n + 1).fill(ABSENT)
  for (let i = 0; i < n; i++) {
    from[i + 1] = Math.max(from[i]!, h.calls[order[i]!]!)
    states[i + 1] = h.kind[order[i]!] === READ ? states[i]! : after(h, order[i]!, states[i]!)
  }
  for (let i = n - 1; i >= 0; i--) to[i] = Math.min(to[i + 1]!, h.returns[order[i]!]!)
  const inGap = new Map<number, number[]>()
  const homeless: number[] = []
  for (let op = 0; op < h.n; op++) {
    if (h.kind[op] !== DIFFERS) continue
    const [call, answer] = [h.calls[op]!, h.returns[op]!]
    let gap = lastGap(from, answer)
    while (gap >= 0 && states[gap] === h.a[op] && to[gap]! > call) gap--
    if (gap < 0 || to[gap]! <= call) {
      homeless.push(op)
      continue
    }
    const others = inGap.get(gap)
    if (others === undefined) inGap.set(gap, [op])
    else others.push(op)
  }
  const whole: number[] = []
  for (let i = 0; i <= n; i++) {
    // Of those in one gap the one that was answered first goes first.
    whole.push(...(inGap.get(i) ?? []).sort((x, y) => h.returns[x]! - h.returns[y]!))
    if (i < n) whole.push(order[i]!)
  }
  return { whole, homeless }
}

// Last gap that is open before `answer`.
function lastGap(from: Float64Array, answer: number): number {
  let low = 0
  let high = from.length - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if (from[middle]! < answer) low = middle
    else high = middle - 1
  }
  return low
}

/** Whether the operations in this order explain all answers and keep to real time; operations left out must be open. */
function playsThrough(h: Encoded, order: readonly number[]): boolean {
  const done = new Uint8Array(h.n)
  let state = ABSENT
  let moment = -1
  for (const op of order) {
    if (done[op] === 1) return false
    done[op] = 1
    moment = Math.max(moment, h.calls[op]!)
    if (h.returns[op]! <= moment) return false
    if (h.kind[op] === READ ? h.a[op] !== state : h.kind[op] === DIFFERS && h.a[op] === state) return false
    if (h.kind[op] !== READ && h.kind[op] !== DIFFERS) state = after(h, op, state)
    if (state < 0) return false
  }
  for (let op = 0; op < h.n; op++) if (done[op] === 0 && h.returns[op] !== Infinity) return false
  return true
}
