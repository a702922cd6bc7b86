// What happens next: a binary heap ordered by time, then by the order of scheduling, so that equal times never depend on the heap.

/** One scheduled event. `cancelled` ones are dropped when they come up. */
export interface Scheduled {
  readonly time: number
  readonly seq: number
  readonly run: () => void
  cancelled: boolean
}

export class EventQueue {
  readonly #heap: Scheduled[] = []
  #seq = 0

  get size(): number {
    return this.#heap.length
  }

  push(time: number, run: () => void): Scheduled {
    const event: Scheduled = { time, seq: this.#seq++, run, cancelled: false }
    const heap = this.#heap
    let at = heap.length
    heap.push(event)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!before(event, heap[parent]!)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = event
    return event
  }

  /** The earliest event that was not cancelled, or undefined. */
  pop(): Scheduled | undefined {
    for (;;) {
      const event = this.#takeFirst()
      if (event === undefined || !event.cancelled) return event
    }
  }

  #takeFirst(): Scheduled | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    const n = heap.length
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= n) break
      if (child + 1 < n && before(heap[child + 1]!, heap[child]!)) child++
      if (!before(heap[child]!, last)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
    return first
  }
}

function before(a: Scheduled, b: Scheduled): boolean {
  return a.time < b.time || (a.time === b.time && a.seq < b.seq)
}
