export * from './core/io.js'
export { ConfigNode } from './core/config-node.js'
export type { ConfigView } from './core/config-node.js'
export { ZERO_BALLOT, compareBallots, sameBallot } from './core/ballot.js'
