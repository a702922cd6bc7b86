// What epochs cost, on its way into their lines of the register. Right after a change servers and disks are busy admitting what waited, and
// nobody waits for a number: it goes with the next value that the group needs anyway, or by itself a moment later.
import type { ConfigState, Millis } from '@coppice/protocol'
import { MEASURED_AFTER_MS } from './bounds.js'
import type { MeasuredPauses } from './pauses.js'

export class MeasuredLines {
  #waiting: MeasuredPauses[] = []
  /** When they go by themselves; Infinity: none waits, or a value that takes them is on its way. */
  dueAt: Millis = Infinity

  add(now: Millis, pauses: MeasuredPauses): void {
    this.#waiting.push(pauses)
    this.dueAt = Math.min(this.dueAt, now + MEASURED_AFTER_MS)
  }

  /** Whether they are to go by themselves now: said once, for a value may take its time to be chosen. */
  isDue(now: Millis): boolean {
    if (now < this.dueAt) return false
    this.dueAt = Infinity
    return true
  }

  /** The value with all that waits, and that: nothing waits any more. */
  write(s: ConfigState): { readonly value: ConfigState; readonly written: readonly MeasuredPauses[] } {
    const written = this.#waiting
    this.#waiting = []
    this.dueAt = Infinity
    if (written.length === 0) return { value: s, written }
    const history = s.history.map((line) => {
      const found = written.find(({ epoch }) => epoch === line.epoch)
      return found === undefined ? line : { ...line, ...found }
    })
    return { value: { ...s, history }, written }
  }
}
