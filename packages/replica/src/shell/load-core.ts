// Builds a core from what is on the disk: at start, and again on `reload`.
import type { BytesPort } from '@coppice/protocol'
import { monotonicMs, nodeBytes, systemClock } from '@coppice/runtime'
import { StartupError, type LogFields, type Logger } from '@coppice/runtime/server'
import type { Rebuilt, ReplicaOptions } from '../core/io.js'
import type { StateMachine } from '../core/state-machine.js'
import { ReplicaLoader, type ReplicaNode } from '../index.js'
import type { RecoverySink, ReplicaStorage } from './storage.js'
import { damaged } from './store-marks.js'

/** Progress of a long recovery is logged this often. */
const PROGRESS_EVERY_MS = 2_000

export interface Loading {
  readonly store: ReplicaStorage
  readonly options: ReplicaOptions
  readonly machine: (bytes: BytesPort) => StateMachine
  /** The state of the snapshot that the store will hold after everything written so far; undefined: it is read. */
  readonly rebuilt: Rebuilt | undefined
  readonly logger: Logger
  /** True once nobody waits for the core any more. */
  readonly given: () => boolean
}

export interface Loaded {
  readonly core: ReplicaNode
  /** What it took, for the log. */
  readonly cost: LogFields
}

/** Rejects with a StartupError when the store is damaged or contradicts itself. */
export async function loadCore(loading: Loading): Promise<Loaded> {
  const { store, rebuilt, logger } = loading
  const begun = monotonicMs()
  // The marks are those of the store after everything written so far.
  await store.drained()
  const loader = new ReplicaLoader(loading.options, store.meta, rebuilt ?? loading.machine(nodeBytes), nodeBytes)
  const cost = { snapshotBytes: 0, logBytes: 0, records: 0 }
  let told = begun
  const known = rebuilt?.header.snapshotId
  await store.recover(sinkInto(loader, cost, loading), known, (progress) => {
    if (monotonicMs() - told < PROGRESS_EVERY_MS) return
    told = monotonicMs()
    logger.debug('loading', { ...progress })
  })
  const core = refusing(store.path, () => loader.finish(systemClock.now(), store.unfinished))
  return { core, cost: { ...cost, loadMs: Math.round(monotonicMs() - begun) } }
}

interface Cost {
  snapshotBytes: number
  logBytes: number
  records: number
}

function sinkInto(loader: ReplicaLoader, cost: Cost, { store, given }: Loading): RecoverySink {
  const goOn = (): void => {
    if (given()) throw new StartupError('STORE_UNUSABLE', 'stopped while loading')
  }
  return {
    snapshotChunk(header, chunk, bytes) {
      goOn()
      cost.snapshotBytes += bytes.length
      refusing(store.path, () => loader.addSnapshotChunk(header, chunk, bytes))
    },
    record(bytes) {
      goOn()
      cost.logBytes += bytes.length
      cost.records++
      refusing(store.path, () => loader.addRecord(bytes))
    },
  }
}

/** What the core or the machine cannot accept is as useless as a damaged byte, and the way out is the same. */
function refusing<T>(path: string, load: () => T): T {
  try {
    return load()
  } catch (error) {
    throw damaged(path, (error as Error).message)
  }
}
