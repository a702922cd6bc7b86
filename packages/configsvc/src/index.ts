export * from './core/io.js'
export { ConfigNode } from './core/config-node.js'
export type { ConfigView } from './core/view.js'
export { ZERO_BALLOT, compareBallots, sameBallot } from './core/ballot.js'
