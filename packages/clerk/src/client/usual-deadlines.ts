// Deadlines of the calls that have the clerk's own timeout, which is nearly all: they fall due in the order in which the calls began, so
// a list and one timer are enough, and the clock is read once a turn.
import type { Clock, Millis } from '@coppice/protocol'
import type { Call } from './call.js'

export class UsualDeadlines {
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #onDue: (call: Call) => void
  #head: Call | undefined = undefined
  #tail: Call | undefined = undefined
  /** First of those that began in this turn; they and all behind it have no deadline yet. */
  #undated: Call | undefined = undefined
  #disarm: (() => void) | undefined = undefined

  /** `onDue` must remove the call it is given. */
  constructor(clock: Clock, timeoutMs: number, onDue: (call: Call) => void) {
    this.#clock = clock
    this.#timeoutMs = timeoutMs
    this.#onDue = onDue
  }

  /** Whether `endTurn` has to follow. */
  get undated(): boolean {
    return this.#undated !== undefined
  }

  add(call: Call): void {
    const tail = this.#tail
    call.duePrevious = tail
    if (tail === undefined) this.#head = call
    else tail.dueNext = call
    this.#tail = call
    this.#undated ??= call
  }

  remove(call: Call): void {
    const { duePrevious: previous, dueNext: next } = call
    if (this.#undated === call) this.#undated = next
    if (previous === undefined) this.#head = next
    else previous.dueNext = next
    if (next === undefined) this.#tail = previous
    else next.duePrevious = previous
    call.duePrevious = undefined
    call.dueNext = undefined
  }

  /** Time of this turn's calls begins to run. */
  endTurn(): void {
    const first = this.#undated
    if (first === undefined) return
    const due = this.#clock.now() + this.#timeoutMs
    for (let call: Call | undefined = first; call !== undefined; call = call.dueNext) call.due = due
    this.#undated = undefined
    if (this.#disarm === undefined) this.#arm(this.#head!.due)
  }

  rest(): void {
    this.#disarm?.()
    this.#disarm = undefined
  }

  calls(): Call[] {
    const calls: Call[] = []
    for (let call = this.#head; call !== undefined; call = call.dueNext) calls.push(call)
    return calls
  }

  #arm(due: Millis): void {
    this.#disarm = this.#clock.after(Math.max(0, due - this.#clock.now()), this.#onTimer)
  }

  readonly #onTimer = (): void => {
    this.#disarm = undefined
    const now = this.#clock.now()
    for (let call = this.#head; call !== undefined && call.due <= now; call = this.#head) this.#onDue(call)
    // Those without a deadline arm the timer when they get one.
    if (this.#head !== undefined && this.#head.due < Infinity) this.#arm(this.#head.due)
  }
}
