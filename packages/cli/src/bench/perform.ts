// One operation of a workload on a store, and what is written down about it.
import { GET, INSERT, READ_MODIFY_WRITE } from './mixes.js'
import type { KindIndex } from './mixes.js'
import type { Recorder } from './recorder.js'
import type { Store } from './store.js'
import type { Workload } from './workload.js'

/** What all callers of a process share. */
export interface Bench {
  readonly workload: Workload
  readonly recorder: Recorder
  /** Callers take turns over them. */
  readonly stores: readonly Store[]
  readonly now: () => number
}

/** Begins the operation: no promise beside the store's own, except for the two of a read-modify-write. */
export function perform(store: Store, kind: KindIndex, key: number): Promise<unknown> {
  if (kind === GET) return store.get(key)
  return kind === READ_MODIFY_WRITE ? readModifyWrite(store, key) : store.put(key)
}

/** Writes down how it ended; returns the time. */
export function settled(
  { workload, recorder, now }: Bench,
  kind: KindIndex,
  place: number,
  startedAt: number,
  answer: unknown,
): number {
  const endedAt = now()
  recorder.ended(kind, startedAt, endedAt)
  if (kind === GET && (answer === undefined || answer === null)) recorder.foundNothing(endedAt)
  if (kind === INSERT) workload.inserted(place)
  return endedAt
}

async function readModifyWrite(store: Store, key: number): Promise<unknown> {
  await store.get(key)
  return store.put(key)
}
