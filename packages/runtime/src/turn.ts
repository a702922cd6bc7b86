// The two ends of an event-loop turn: first batches are closed (a core's flush, a clerk's frame), then sockets are uncorked, so that
// everything one turn has produced leaves in one system call per connection. One shared setImmediate a turn.

let closing: (() => void)[] = []
let sending: (() => void)[] = []
let scheduled = false

/** Calls `run` when the inputs of this turn are consumed. What is registered while these run belongs to the next turn. */
export function atEndOfTurn(run: () => void): void {
  closing.push(run)
  if (!scheduled) schedule()
}

/** Calls `run` after everything given to `atEndOfTurn` in this turn: the place to uncork a socket. */
export function afterTurn(run: () => void): void {
  sending.push(run)
  if (!scheduled) schedule()
}

function schedule(): void {
  scheduled = true
  setImmediate(endTurn)
}

function endTurn(): void {
  scheduled = false
  const first = closing
  closing = []
  runAll(first)
  const last = sending
  sending = []
  runAll(last)
}

// One failing callback must not swallow the others: it is thrown again outside, where the process sees it.
function runAll(list: (() => void)[]): void {
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
