// A trivial state machine: numbered counters. Operation [key, delta] adds and replies the new value; query [key] reads. Adding is not
// idempotent, so whatever runs twice shows.
import { Reader, Writer } from '@coppice/protocol'
import type { Index, Millis } from '@coppice/protocol'
import type { ChangeSink, StateCapture, StateHashing, StateLoader, StateMachine } from '@coppice/replica'

export const addOp = (key: number, delta = 1): Uint8Array => Uint8Array.of(key, delta)
export const readOp = (key: number): Uint8Array => Uint8Array.of(key)
/** An operation whose reply is too large to be stored. */
export const bigReplyOp = (key: number): Uint8Array => Uint8Array.of(key, 1, 1)

/** Operations on this counter depend on the log's time. */
export const TIMED_KEY = 200

export class CounterMachine implements StateMachine {
  readonly digest = 'counter-1'
  readonly counters = new Map<number, { value: number; version: Index }>()
  applied = 0
  /** Bytes that every answer to a query carries besides. */
  padding = 0
  /** The log's time of every operation that was applied. */
  readonly times: Millis[] = []
  dueAt: Millis = Infinity
  readonly ticks: { index: Index; elapsedMs: Millis }[] = []

  validateOperation(_: Uint8Array, start: number, end: number): string | undefined {
    return end - start < 2 ? 'an operation has a key and a delta' : undefined
  }
  validateQuery(_: Uint8Array, start: number, end: number): string | undefined {
    return end - start === 1 ? undefined : 'a query is one key'
  }
  readsTime(b: Uint8Array, start: number): boolean {
    return b[start] === TIMED_KEY
  }
  tick(index: Index, elapsedMs: Millis): void {
    this.ticks.push({ index, elapsedMs })
    if (elapsedMs >= this.dueAt) this.dueAt = Infinity
  }
  apply(
    index: Index,
    elapsedMs: number,
    b: Uint8Array,
    start: number,
    end: number,
    out: Writer,
    changes: ChangeSink,
  ): void {
    const key = b[start]!
    const value = (this.counters.get(key)?.value ?? 0) + b[start + 1]!
    this.counters.set(key, { value, version: index })
    this.applied++
    this.times.push(elapsedMs)
    changes.change(0, 0, b, start, start + 1, b, start + 1, start + 2)
    out.u32(value)
    if (end - start > 2) out.raw(new Uint8Array(70_000))
  }
  read(b: Uint8Array, start: number, _end: number, out: Writer): Index {
    const c = this.counters.get(b[start]!)
    out.u32(c?.value ?? 0)
    if (this.padding > 0) out.raw(new Uint8Array(this.padding))
    return c?.version ?? 0
  }
  getState(): StateCapture {
    const entries = [...this.counters].map(([k, c]) => [k, c.value, c.version] as const)
    let i = 0
    return {
      next: () => {
        if (i >= entries.length) return undefined
        const w = new Writer()
        for (const [k, value, version] of entries.slice(i, (i += 2))) {
          w.u32(k)
          w.u53(value)
          w.u53(version)
        }
        return w.take()
      },
      release: () => {},
    }
  }
  setState(): StateLoader {
    this.counters.clear()
    return {
      add: (piece) => {
        const r = new Reader(piece)
        while (r.at < r.end) this.counters.set(r.u32(), { value: r.u53(), version: r.u53() })
      },
      finish: () => {},
    }
  }
  hashing(): StateHashing {
    const value = this.hash()
    let left = 5
    return { next: () => --left > 0, value, release: () => {} }
  }
  hash(): string {
    return JSON.stringify([...this.counters].sort(([a], [b]) => a - b).map(([k, c]) => [k, c.value, c.version]))
  }
}
