// Who will ask for a state, and who can still make it: a state must not be left, nor a write dropped, while somebody asks for its
// value and nothing can make it in time. A necessary condition, so no answer is lost by obeying it.
import { CAS, DEAD, DIFFERS, READ, WRITE, makes } from './encode.js'
import { Windows, firstAbove } from './windows.js'
import type { Encoded } from './encode.js'
import type { Classes } from './classes.js'
import type { Configuration } from './configuration.js'

interface Askers {
  /** Lines of invocation, rising, and the earliest answer from there on. */
  readonly calls: number[]
  readonly returns: number[]
  readonly earliestFrom: number[]
}

export class Demand {
  private readonly askers = new Map<number, Askers>()
  /** Lines on which open cas that compare with a state are invoked: they need not, but may, find it. */
  private readonly openComparerCalls = new Map<number, number[]>()
  private readonly makerCalls = new Map<number, number[]>()
  // Only appends and reads: states grow, so a state that was left never comes back.
  private readonly growsOnly: boolean
  private readonly lastRead: number
  private readonly windows: Windows
  private readonly strict: boolean
  private readonly h: Encoded
  private readonly classes: Classes

  /** `strict`: open operations are not counted on; then it is more than a necessary condition. */
  constructor(h: Encoded, classes: Classes, strict = false) {
    this.h = h
    this.classes = classes
    this.strict = strict
    this.windows = new Windows(h)
    const asking = new Map<number, number[]>()
    let lastRead = -1
    let growsOnly = h.states.appends
    for (const event of h.events) {
      if ((event & 1) === 1) continue
      const op = event >> 1
      const kind = h.kind[op]!
      const open = h.returns[op] === Infinity
      if (kind === WRITE || kind === CAS) {
        growsOnly = false
        if (!open || !strict) pushTo(this.makerCalls, makes(h, op), h.calls[op]!)
      }
      if (kind === CAS && open && !strict) pushTo(this.openComparerCalls, h.a[op]!, h.calls[op]!)
      if (open || (kind !== READ && kind !== CAS)) continue
      pushTo(asking, h.a[op]!, op)
      lastRead = h.calls[op]!
    }
    this.growsOnly = growsOnly
    this.lastRead = lastRead
    for (const [state, ops] of asking) {
      const earliestFrom: number[] = []
      let earliest = Infinity
      for (let i = ops.length - 1; i >= 0; i--) earliestFrom[i] = earliest = Math.min(earliest, h.returns[ops[i]!]!)
      const returns = ops.map((op) => h.returns[op]!)
      this.askers.set(state, { calls: ops.map((op) => h.calls[op]!), returns, earliestFrom })
    }
  }

  /** A test for one mutation `op` that would change the present state to `to`, at the answer on line `now`. */
  leaving(c: Configuration, now: number): (op: number, to: number) => boolean {
    const { h } = this
    const { state } = c
    const later = this.earliestLater(state, now)
    if (h.states.appends) {
      if (!this.growsOnly) return () => true
      const asked = this.lastRead > now || hasPendingRead(h, c)
      return (_, to) => later === Infinity && (to !== DEAD || !asked)
    }
    const { needed, made } = this.tokens(c, state, now, -1)
    if (made >= needed) return () => true
    // Whoever moves on by a cas from this state needs it no more.
    return (op) => h.kind[op] === CAS && made >= this.tokens(c, state, now, op).needed
  }

  /** Whether the waiting write (or append) can do without being seen. */
  canDrop(c: Configuration, waiting: number): boolean {
    const made = makes(this.h, waiting)
    if (this.h.states.appends || made === c.state) return true
    const tokens = this.tokens(c, made, this.h.returns[waiting]!, waiting)
    return tokens.made >= tokens.needed
  }

  /**
   * How often the state must be made again for those that ask for it and are answered before a later operation can make it, and how often
   * what is pending or open can do so, `without` not counted. Every cas needs the state for itself; reads can share.
   */
  private tokens(c: Configuration, state: number, now: number, without: number): { needed: number; made: number } {
    const { h } = this
    const again = this.nextMade(state, now)
    let cas = 0
    let others = this.earliestLater(state, now) < again ? 1 : 0
    let made = this.strict ? 0 : this.classes.openMakes(c.openLeft, state)
    for (let op = c.after(c.end); op !== c.end; op = c.after(op)) {
      if (op === without || h.kind[op] === DIFFERS) continue
      if (h.kind[op] !== READ && makes(h, op) === state) made++
      if (h.a[op] !== state || h.returns[op]! >= again) continue
      if (h.kind[op] === CAS) cas++
      else if (h.kind[op] === READ) others = 1
    }
    return { needed: Math.max(cas, others), made }
  }

  /**
   * Whether the pending write `op` could still be of use to somebody who is not served by it when it takes effect now: a cas, or an
   * operation that is invoked after `now` while the value can still stand.
   */
  isWorthKeeping(c: Configuration, op: number, now: number): boolean {
    const { h } = this
    const made = makes(h, op)
    if (this.comparesFrom(c, made)) return true
    const nextAsked = Math.min(nextOf(this.askers.get(made)?.calls, now), nextOf(this.openComparerCalls.get(made), now))
    return nextAsked !== Infinity && nextAsked < this.windows.endOf(made, h.returns[op]!)
  }

  /**
   * Until when the state must stay once it is made at `now`, because of operations that are invoked later and answered before anything
   * could make it again.
   */
  holdUntil(c: Configuration, state: number, now: number, maker: number): number {
    const { h } = this
    for (let op = c.after(c.end); op !== c.end; op = c.after(op))
      if (op !== maker && h.kind[op] !== READ && makes(h, op) === state) return now
    const asking = this.askers.get(state)
    if (asking === undefined) return now
    const again = this.nextMade(state, now)
    let until = now
    for (let i = firstAbove(asking.calls, now); i < asking.calls.length && asking.calls[i]! < again; i++)
      if (asking.returns[i]! < again) until = asking.calls[i]!
    return until
  }

  /** Whether a pending or open cas finds its old value in this state. */
  comparesFrom(c: Configuration, state: number): boolean {
    const { h } = this
    for (let op = c.after(c.end); op !== c.end; op = c.after(op))
      if (h.kind[op] === CAS && h.a[op] === state) return true
    return !this.strict && this.classes.openSees(c.openLeft, -1, state)
  }

  // Earliest answer among those that ask for the state and are invoked after `now`.
  private earliestLater(state: number, now: number): number {
    const asking = this.askers.get(state)
    if (asking === undefined) return Infinity
    return asking.earliestFrom[firstAbove(asking.calls, now)] ?? Infinity
  }

  private nextMade(state: number, now: number): number {
    return nextOf(this.makerCalls.get(state), now)
  }
}

function hasPendingRead(h: Encoded, c: Configuration): boolean {
  for (let op = c.after(c.end); op !== c.end; op = c.after(op)) if (h.kind[op] === READ) return true
  return false
}

// The first line of a rising list behind `now`.
function nextOf(calls: readonly number[] | undefined, now: number): number {
  return calls === undefined ? Infinity : (calls[firstAbove(calls, now)] ?? Infinity)
}

function pushTo(lists: Map<number, number[]>, key: number, value: number): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [value])
  else list.push(value)
}
