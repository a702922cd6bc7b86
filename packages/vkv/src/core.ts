// The portable part of vKV: the state machine, its operations as bytes, and the clients over any clerk. Runs in the simulator unchanged.
export * from './core/kv-machine.js'
export * from './core/operations.js'
export * from './core/queries.js'
export * from './core/replies.js'
export { decodeLock, type LockRecord } from './core/lock-table.js'
