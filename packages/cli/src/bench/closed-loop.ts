// The closed loop: so many callers, each waiting for its answer before its next operation. The moment one ends is when the next begins.
import { perform, settled } from './perform.js'
import type { Bench } from './perform.js'
import type { Store } from './store.js'

/** After a failure, so that a store that fails at once does not keep the process from everything else. */
const PAUSE_MS = 1

/** Resolves when every caller has its last answer, which is the first one after the end of the window. */
export async function closedLoop(bench: Bench, callers: number): Promise<void> {
  const { stores } = bench
  await Promise.all(Array.from({ length: callers }, (_, n) => caller(bench, stores[n % stores.length]!)))
}

async function caller(bench: Bench, store: Store): Promise<void> {
  const { workload, recorder, now } = bench
  const { until } = recorder.window
  let startedAt = now()
  while (startedAt < until) {
    const kind = workload.next()
    const { place } = workload
    try {
      const answer = await perform(store, kind, workload.key)
      startedAt = settled(bench, kind, place, startedAt, answer)
    } catch (error) {
      recorder.failed(error, now())
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
      startedAt = now()
    }
  }
}
