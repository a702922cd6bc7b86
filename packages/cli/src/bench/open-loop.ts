// The open loop: operations begin at times that were planned beforehand, whether or not earlier ones have been answered, and their latency
// counts from the planned time. A store that stands still therefore pays for every operation that should have begun meanwhile (no
// coordinated omission).
import { perform, settled } from './perform.js'
import type { Bench } from './perform.js'
import type { Random } from './random.js'
import type { Store } from './store.js'

/** Planned times are whole ticks, because timers are no finer; what is due in one tick begins together. */
export const TICK_MS = 1

export interface OpenLoopOptions {
  /** Operations per second. */
  readonly rate: number
  /** Given: gaps are exponential, as between independent users; otherwise all are equal. */
  readonly poisson?: Random | undefined
  /** Operations under way at the most. What is due beyond that is not sent, and counted. */
  readonly maxOutstanding: number
  readonly after: (ms: number, then: () => void) => void
}

/** Resolves when everything that was sent has been answered. */
export function openLoop(bench: Bench, { rate, poisson, maxOutstanding, after }: OpenLoopOptions): Promise<void> {
  const { recorder, stores, now } = bench
  const { from, until } = recorder.window
  const begun = now()
  let exact = 0
  let count = 0
  let outstanding = 0
  const gap = (): number => {
    const mean = 1_000 / rate
    return poisson === undefined ? mean : -Math.log(1 - poisson.fraction()) * mean
  }
  const nextDue = (): number => {
    exact += gap()
    return begun + Math.ceil(exact / TICK_MS) * TICK_MS
  }
  return new Promise((resolve) => {
    const finished = (): void => {
      outstanding--
      if (due >= until && outstanding === 0) resolve()
    }
    const tick = (): void => {
      const at = now()
      for (; due <= at && due < until; due = nextDue()) {
        if (outstanding >= maxOutstanding) {
          if (due >= from) recorder.notSent++
          continue
        }
        if (due >= from) recorder.lateness.record(at - due)
        outstanding++
        void once(bench, stores[count++ % stores.length]!, due).then(finished)
      }
      if (due < until) after(Math.max(due - now(), TICK_MS / 2), tick)
      else if (outstanding === 0) resolve()
    }
    let due = nextDue()
    tick()
  })
}

async function once(bench: Bench, store: Store, intendedAt: number): Promise<void> {
  const { workload, recorder, now } = bench
  const kind = workload.next()
  const { place } = workload
  try {
    settled(bench, kind, place, intendedAt, await perform(store, kind, workload.key))
  } catch (error) {
    recorder.failed(error, now())
  }
}
