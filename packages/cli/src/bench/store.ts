// What the generator knows of a store: keys are numbers, values are the store's affair. Coppice, Redis and etcd are measured through it.
import type { Dataset } from './dataset.js'

export interface Store {
  /** Writes some value of the agreed size. Rejects when it failed; an error's `code` says how. */
  put(key: number): Promise<unknown>
  /** Resolves with undefined or null when the key is missing. */
  get(key: number): Promise<unknown>
  /** Tells which keys are there already, so that they are not loaded again; a store without it is loaded whole. */
  present?(found: (key: number) => void): Promise<void>
  close(): Promise<void>
}

/**
 * What a module of a store exports as `openStore`; `options` are whatever its user and it agreed on, as JSON, `clerk` counts the connections of
 * all client processes.
 */
export type OpenStore<Options = never> = (options: Options, dataset: Dataset, clerk: number) => Promise<Store>

/** Where to find it. */
export interface StoreSpec {
  /** URL of the module. */
  readonly module: string
  readonly options: unknown
}
