// One of the systems that are compared, running and ready to be measured.
import { MIXES, runBench } from '@coppice/cli/bench'
import type { BenchResult, BenchSpec, MixName, Watched } from '@coppice/cli/bench'

export interface Side {
  readonly name: string
  /** How its client is set, where several settings compete. */
  readonly setting?: string
  /** Servers that hold the data. */
  readonly replicas: number
  readonly store: BenchSpec['store']
  readonly watched: readonly Watched[]
  stop(): Promise<void>
}

/** Each has so many writes under way. */
const LOADING_CLERKS = 4

export interface Measurement {
  readonly mix: MixName
  readonly callers: number
  readonly keys: number
  readonly valueBytes: number
  readonly seconds: number
  readonly warmupMs?: number
  readonly load?: boolean
  readonly clients?: number
  readonly clerks?: number
  readonly seed?: number
  readonly onSecond?: (elapsedMs: number, operations: number) => void
}

/** Runs one workload on one side, in client processes of its own. Throws when nothing succeeded. */
export async function measure({ name, store, watched }: Side, measurement: Measurement): Promise<BenchResult> {
  const { mix, callers, keys, valueBytes, seconds, onSecond } = measurement
  const { warmupMs = 1_000, load = false, clients = 1, clerks = 1, seed = 1 } = measurement
  const spec: BenchSpec = {
    store,
    mix: MIXES[mix],
    distribution: MIXES[mix].distribution,
    arrival: { kind: 'closed', callers },
    clients,
    clerks,
    keys,
    valueBytes,
    load,
    warmupMs,
    measureMs: seconds * 1_000,
    seed,
  }
  const result = await runBench(spec, watched, onSecond === undefined ? {} : { onProgress: onSecond })
  if (result.operations > 0) return result
  throw new Error(`${name}: no operation of ${mix} succeeded; failures: ${JSON.stringify(result.failures)}`)
}

/** Writes all keys, where they are missing. */
export async function fill(
  side: Side,
  { keys, valueBytes }: Pick<Measurement, 'keys' | 'valueBytes'>,
): Promise<BenchResult> {
  const most = { clerks: LOADING_CLERKS, load: true }
  return measure(side, { mix: 'get', callers: LOADING_CLERKS, keys, valueBytes, seconds: 0.1, warmupMs: 1, ...most })
}
