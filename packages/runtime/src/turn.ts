// The ends of an event-loop turn, in order: batches are closed (a core's flush, a clerk's frame); sockets are uncorked, so that everything one
// turn has produced leaves in one system call per connection; then the disk writes, for a short durable write blocks the loop and
// everybody else has their work by then. What a durable write lets leave leaves in the same turn. One shared setImmediate a turn.
import { setImmediate } from './timers.js'

const PHASES = 3
/** Rounds of one turn: what is registered after them waits for the next turn, so that sockets are heard in between. */
const MAX_ROUNDS = 3

type Run = () => void

const lists: Run[][] = [[], [], []]
let scheduled = false

/** Calls `run` when the inputs of this turn are consumed: the place to close a batch. */
export function atEndOfTurn(run: Run): void {
  add(0, run)
}

/** Calls `run` after everything given to `atEndOfTurn` in this turn: the place to uncork a socket. */
export function afterTurn(run: Run): void {
  add(1, run)
}

/** Calls `run` after everything given to `afterTurn` in this turn: the place for a write that may block for a moment. */
export function afterSending(run: Run): void {
  add(2, run)
}

function add(phase: number, run: Run): void {
  lists[phase]!.push(run)
  if (scheduled) return
  scheduled = true
  setImmediate(endTurn)
}

function endTurn(): void {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    for (let phase = 0; phase < PHASES; phase++) runAll(phase)
    if (isDone()) break
  }
  scheduled = !isDone()
  if (scheduled) setImmediate(endTurn)
}

function isDone(): boolean {
  return lists[0]!.length === 0 && lists[1]!.length === 0 && lists[2]!.length === 0
}

// One failing callback must not swallow the others: it is thrown again outside, where the process sees it.
function runAll(phase: number): void {
  const list = lists[phase]!
  if (list.length === 0) return
  lists[phase] = []
  for (let i = 0; i < list.length; i++) {
    try {
      list[i]!()
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    }
  }
}
