// @coppice/cli/bench: the load generator, for the programs that compare stores with it.
export { Histogram } from './histogram.js'
export { DISTRIBUTIONS } from './key-chooser.js'
export { isMixName, MIX_NAMES, MIXES, reads } from './mixes.js'
export { cpuMicrosPerOp, latencyMs } from './report.js'
export { runBench } from './run.js'
export type { CoppiceOptions } from './coppice-store.js'
export type { Dataset } from './dataset.js'
export type { Distribution } from './key-chooser.js'
export type { MixName } from './mixes.js'
export type { LatencyMs } from './report.js'
export type { BenchObserver, BenchResult, Watched } from './run.js'
export type { BenchSpec } from './spec.js'
export type { Store } from './store.js'

/** Module of the store that is Coppice itself. */
export const COPPICE_STORE = new URL('./coppice-store.js', import.meta.url).href
