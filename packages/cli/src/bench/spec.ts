// What one benchmark run is: the workload, how it arrives, and the store it goes to; as JSON, because client processes are told it.
import type { Distribution } from './key-chooser.js'
import type { Mix } from './mixes.js'
import type { RecordedData } from './recorder.js'
import type { StoreSpec } from './store.js'

export type Arrival =
  | { readonly kind: 'closed'; readonly callers: number }
  | {
      readonly kind: 'open'
      /** Operations per second. */
      readonly rate: number
      readonly poisson: boolean
      readonly maxOutstanding: number
    }

export interface BenchSpec {
  readonly store: StoreSpec
  readonly mix: Mix
  readonly distribution: Distribution
  /** Of all client processes together. */
  readonly arrival: Arrival
  readonly clients: number
  /** Connections of each client process, each with a clerk of its own. */
  readonly clerks: number
  readonly keys: number
  readonly valueBytes: number
  /** Whether keys that are missing are written before. */
  readonly load: boolean
  readonly warmupMs: number
  readonly measureMs: number
  readonly seed: number
}

/** A client process is told which one it is. */
export interface ClientSpec extends BenchSpec {
  readonly client: number
  /** Names the keys that this run inserts. */
  readonly run: string
}

export type ToClient = { readonly kind: 'prepare'; readonly spec: ClientSpec } | { readonly kind: 'run' }
export type FromClient =
  | { readonly kind: 'ready'; readonly loaded: number; readonly loadMs: number }
  /** The measured window begins. */
  | { readonly kind: 'begun' }
  /** Every second of the window: operations that ended since it began. */
  | { readonly kind: 'progress'; readonly operations: number }
  /** The window is over; some operations may still be under way. CPU of this process in the window, ms. */
  | { readonly kind: 'ended'; readonly cpuMs: number }
  | { readonly kind: 'result'; readonly data: RecordedData }
  /** Nothing of it is left at the servers. */
  | { readonly kind: 'closed' }
  | { readonly kind: 'failed'; readonly message: string; readonly exitCode: number }

/** The share of client `i` of `clients` in a whole number. */
export function shareOf(total: number, clients: number, i: number): number {
  return Math.floor(total / clients) + (i < total % clients ? 1 : 0)
}
