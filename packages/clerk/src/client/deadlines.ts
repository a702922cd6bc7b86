// Deadlines of all open calls of a clerk under one timer: calls whose deadline falls into the same slice of time share a bucket,
// buckets are ordered in a heap. Adding and removing a call costs no timer and no search.
import type { Clock, Millis } from '@coppice/protocol'
import type { Call } from './call.js'

/** Width of a slice, ms: so much later than asked a call may time out; wider for long timeouts. */
const SLICE_MS = 10
const LONG_TIMEOUT_MS = 20_000
const LONG_SLICE_MS = 500

export interface DeadlineBucket {
  readonly due: Millis
  head: Call | undefined
}

export class Deadlines {
  /** Open calls. */
  size = 0
  readonly #clock: Clock
  readonly #onDue: (call: Call) => void
  readonly #bucketByDue = new Map<Millis, DeadlineBucket>()
  /** Binary heap by `due`; a bucket that emptied stays until its time or until no call is open. */
  readonly #heap: DeadlineBucket[] = []
  #armedFor: Millis = Infinity
  #disarm: (() => void) | undefined = undefined

  constructor(clock: Clock, onDue: (call: Call) => void) {
    this.#clock = clock
    this.#onDue = onDue
  }

  add(call: Call, timeoutMs: number): void {
    const slice = timeoutMs > LONG_TIMEOUT_MS ? LONG_SLICE_MS : SLICE_MS
    const due = Math.ceil((this.#clock.now() + timeoutMs) / slice) * slice
    let bucket = this.#bucketByDue.get(due)
    if (bucket === undefined) {
      bucket = { due, head: undefined }
      this.#bucketByDue.set(due, bucket)
      this.#push(bucket)
      if (due < this.#armedFor) this.#arm(due)
    }
    call.bucket = bucket
    call.dueNext = bucket.head
    if (bucket.head !== undefined) bucket.head.duePrevious = call
    bucket.head = call
    this.size++
  }

  remove(call: Call): void {
    const bucket = call.bucket
    if (bucket === undefined) return
    const { duePrevious: previous, dueNext: next } = call
    if (previous === undefined) bucket.head = next
    else previous.dueNext = next
    if (next !== undefined) next.duePrevious = previous
    call.bucket = undefined
    call.duePrevious = undefined
    call.dueNext = undefined
    this.size--
  }

  /** Forgets empty buckets and the timer once no call is open. */
  maybeRest(): void {
    if (this.size > 0) return
    this.#bucketByDue.clear()
    this.#heap.length = 0
    this.#disarm?.()
    this.#disarm = undefined
    this.#armedFor = Infinity
  }

  /** All open calls. */
  calls(): Call[] {
    const calls: Call[] = []
    for (const bucket of this.#heap) {
      for (let call = bucket.head; call !== undefined; call = call.dueNext) calls.push(call)
    }
    return calls
  }

  #arm(due: Millis): void {
    this.#disarm?.()
    this.#armedFor = due
    this.#disarm = due === Infinity ? undefined : this.#clock.after(Math.max(0, due - this.#clock.now()), this.#onTimer)
  }

  readonly #onTimer = (): void => {
    this.#disarm = undefined
    this.#armedFor = Infinity
    const now = this.#clock.now()
    while (this.#heap.length > 0 && this.#heap[0]!.due <= now) {
      const bucket = this.#pop()
      this.#bucketByDue.delete(bucket.due)
      // The receiver removes each call it is given.
      while (bucket.head !== undefined) this.#onDue(bucket.head)
    }
    if (this.#heap.length > 0) this.#arm(this.#heap[0]!.due)
  }

  #push(bucket: DeadlineBucket): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(bucket)
    while (at > 0) {
      const up = (at - 1) >> 1
      if (heap[up]!.due <= bucket.due) break
      heap[at] = heap[up]!
      at = up
    }
    heap[at] = bucket
  }

  #pop(): DeadlineBucket {
    const heap = this.#heap
    const top = heap[0]!
    const last = heap.pop()!
    const n = heap.length
    if (n === 0) return top
    let at = 0
    for (;;) {
      let down = 2 * at + 1
      if (down >= n) break
      if (down + 1 < n && heap[down + 1]!.due < heap[down]!.due) down++
      if (heap[down]!.due >= last.due) break
      heap[at] = heap[down]!
      at = down
    }
    heap[at] = last
    return top
  }
}
