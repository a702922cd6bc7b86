// One configuration of the search: how far the events were walked, the state, and what was invoked and has not taken effect. Every
// change is kept on a trail, so that going back costs what going forward did.
import { ABSENT, APPEND, CAS, DIFFERS, READ, WRITE, after } from './encode.js'
import type { Encoded } from './encode.js'
import type { Classes } from './classes.js'

// What a trail entry puts back.
const POSITION = 0
const STATE = 1
const PHASE = 2
const DISCHARGED = 3
const LINKED = 4
const TAKEN = 5
const OPENED = 6
const OPEN_USED = 7

/** Nothing took effect yet for the answer at hand; the last mutation was seen by something; it was not. */
export const FRESH = 0
export const SEEN = 1
export const UNSEEN = 2

export class Configuration {
  /** Next event. */
  position = 0
  state = ABSENT
  phase = FRESH
  /** Pending operations that may be dropped at their answer: there was a moment when they would have changed nothing for anybody. */
  readonly discharged: Uint8Array
  /** Open mutations, by class, that were invoked and are not used. */
  readonly openLeft: Int32Array
  private readonly done: Uint8Array
  // Answered operations that are pending and have not taken effect, in order of invocation; `n` is the head.
  private readonly next: Int32Array
  private readonly previous: Int32Array
  private readonly trail: number[] = []
  // Sum over used open mutations of two random words: stands for that multiset in the key.
  private usedHigh = 0
  private usedLow = 0
  private readonly h: Encoded
  private readonly classes: Classes

  constructor(h: Encoded, classes: Classes) {
    this.h = h
    this.classes = classes
    this.discharged = new Uint8Array(h.n)
    this.done = new Uint8Array(h.n)
    this.next = new Int32Array(h.n + 1).fill(h.n)
    this.previous = new Int32Array(h.n + 1).fill(h.n)
    this.openLeft = new Int32Array(classes.count)
  }

  /** Walks to the first answer that is not explained yet and returns its operation; -1 at the end. */
  advance(): number {
    const { h } = this
    const { events } = h
    const from = this.position
    let at = from
    let waiting = -1
    for (; at < events.length; at++) {
      const op = events[at]! >> 1
      if ((events[at]! & 1) === 0) this.call(op)
      else if (this.done[op] === 0) {
        waiting = op
        break
      }
    }
    if (at !== from) {
      this.trail.push(POSITION, from, 0, PHASE, this.phase, 0)
      this.position = at
      this.phase = FRESH
    }
    return waiting
  }

  /** The mutation takes effect now; then every read that it satisfies. */
  apply(op: number): void {
    const { h, trail } = this
    const open = h.returns[op] === Infinity
    if (open) this.useOpen(this.classes.of[op]!)
    else this.take(op)
    trail.push(STATE, this.state, 0, PHASE, this.phase, 0)
    this.state = after(h, op, this.state)
    const seen = this.settle(h.kind[op] === WRITE)
    this.phase = seen || (!open && h.kind[op] !== WRITE) ? SEEN : UNSEEN
  }

  /** The waiting mutation took effect at an earlier moment, unseen. */
  drop(op: number): void {
    this.take(op)
  }

  /** The pending operation behind `op`, in order of invocation: `after(end)` is the first, `end` follows the last. */
  after(op: number): number {
    return this.next[op]!
  }
  get end(): number {
    return this.h.n
  }

  mark(): number {
    return this.trail.length
  }

  undoTo(mark: number): void {
    const { trail } = this
    while (trail.length > mark) {
      trail.pop()
      const value = trail.pop()!
      this.undo(trail.pop()!, value)
    }
  }

  /** Equal for configurations from which the same is possible. */
  key(): string {
    let key = `${this.position} ${this.state} ${this.phase} ${this.usedHigh} ${this.usedLow}`
    for (let op = this.next[this.h.n]!; op !== this.h.n; op = this.next[op]!)
      key += this.discharged[op] === 1 ? `-${op}` : ` ${op}`
    return key
  }

  private call(op: number): void {
    const { h } = this
    if (h.returns[op] === Infinity) {
      this.openLeft[this.classes.of[op]!]!++
      this.trail.push(OPENED, this.classes.of[op]!, 0)
      return
    }
    const last = this.previous[h.n]!
    this.link(last, op)
    this.trail.push(LINKED, op, 0)
    this.settleOne(op, false)
  }

  // Lets everything take effect that the new state satisfies; true when something did.
  private settle(overwritten: boolean): boolean {
    let seen = false
    for (let op = this.next[this.h.n]!; op !== this.h.n;) {
      const following = this.next[op]!
      if (this.settleOne(op, overwritten)) seen = true
      op = following
    }
    return seen
  }

  private settleOne(op: number, overwritten: boolean): boolean {
    const { h } = this
    switch (h.kind[op]) {
      case READ:
        if (h.a[op] !== this.state) return false
        this.take(op)
        return true
      case DIFFERS:
        if (h.a[op] === this.state) return false
        this.take(op)
        return true
      case WRITE:
        if (overwritten || h.a[op] === this.state) this.discharge(op)
        return false
      case APPEND:
        if (h.states.append(this.state, h.texts[op]!) === this.state) this.discharge(op)
        return false
      default:
        return false
    }
  }

  private discharge(op: number): void {
    if (this.discharged[op] === 1) return
    this.discharged[op] = 1
    this.trail.push(DISCHARGED, op, 0)
  }

  private take(op: number): void {
    this.done[op] = 1
    this.unlink(op)
    this.trail.push(TAKEN, op, 0)
  }

  private useOpen(classOf: number): void {
    this.openLeft[classOf]!--
    this.usedHigh = (this.usedHigh + this.classes.high[classOf]!) | 0
    this.usedLow = (this.usedLow + this.classes.low[classOf]!) | 0
    this.trail.push(OPEN_USED, classOf, 0)
  }

  private link(last: number, op: number): void {
    this.next[last] = op
    this.previous[op] = last
    this.next[op] = this.h.n
    this.previous[this.h.n] = op
  }

  private unlink(op: number): void {
    this.next[this.previous[op]!] = this.next[op]!
    this.previous[this.next[op]!] = this.previous[op]!
  }

  private undo(what: number, value: number): void {
    switch (what) {
      case POSITION:
        this.position = value
        return
      case STATE:
        this.state = value
        return
      case PHASE:
        this.phase = value
        return
      case DISCHARGED:
        this.discharged[value] = 0
        return
      case LINKED:
        this.unlink(value)
        return
      case TAKEN:
        this.done[value] = 0
        // Its neighbours are as they were when it left.
        this.next[this.previous[value]!] = value
        this.previous[this.next[value]!] = value
        return
      case OPENED:
        this.openLeft[value]!--
        return
      case OPEN_USED:
        this.openLeft[value]!++
        this.usedHigh = (this.usedHigh - this.classes.high[value]!) | 0
        this.usedLow = (this.usedLow - this.classes.low[value]!) | 0
        return
    }
  }

  /** Whether something pending, or an open mutation, would look at the state `to` if `op` made it. */
  wouldBeSeen(op: number, to: number): boolean {
    const { h } = this
    for (let other = this.next[h.n]!; other !== h.n; other = this.next[other]!) {
      if (other === op) continue
      const kind = h.kind[other]
      if (kind === APPEND) return true
      // A failed comparison that is still pending waits for any other state.
      if (kind === DIFFERS ? to !== this.state : kind !== WRITE && h.a[other] === to) return true
    }
    return this.classes.openSees(this.openLeft, h.returns[op] === Infinity ? this.classes.of[op]! : -1, to)
  }

  /**
   * Whether a write of the present state, which changes nothing, would still serve to hide another pending write before it. Without
   * a cas or append to follow, only the waiting one does.
   */
  wouldHide(op: number, waiting: boolean): boolean {
    const { h } = this
    if (h.kind[op] !== WRITE || !(waiting || this.classes.stateful)) return false
    for (let other = this.next[h.n]!; other !== h.n; other = this.next[other]!)
      if (other !== op && h.kind[other] === WRITE && this.discharged[other] === 0) return true
    return false
  }

  /** Whether a pending read asks for this state. */
  isRead(state: number): boolean {
    const { h } = this
    for (let op = this.next[h.n]!; op !== h.n; op = this.next[op]!)
      if (h.kind[op] === READ && h.a[op] === state) return true
    return false
  }

  /** The pending operation that does the same as `op` and is answered first. */
  firstOfClass(op: number): number {
    let first = op
    for (let other = this.next[this.h.n]!; other !== this.h.n; other = this.next[other]!)
      if (this.classes.of[other] === this.classes.of[op] && this.h.returns[other]! < this.h.returns[first]!)
        first = other
    return first
  }

  /** The earliest answer among pending reads and cas that ask for this state; Infinity when none does. */
  askedBefore(state: number): number {
    const { h } = this
    let earliest = Infinity
    for (let op = this.next[h.n]!; op !== h.n; op = this.next[op]!)
      if ((h.kind[op] === READ || h.kind[op] === CAS) && h.a[op] === state && h.returns[op]! < earliest)
        earliest = h.returns[op]!
    return earliest
  }

  /** Whether a pending read or cas asks for this state. */
  isAskedNow(state: number): boolean {
    const { h } = this
    for (let op = this.next[h.n]!; op !== h.n; op = this.next[op]!)
      if ((h.kind[op] === READ || h.kind[op] === CAS) && h.a[op] === state) return true
    return false
  }
}
