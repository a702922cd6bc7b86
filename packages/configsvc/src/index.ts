// The config server as a pure core, and what goes in and out of it. `/server` runs one in this process.
export * from './core/io.js'
export { ConfigNode } from './core/config-node.js'
export type { ConfigView } from './core/view.js'
export { ZERO_BALLOT, compareBallots, sameBallot } from './core/ballot.js'
