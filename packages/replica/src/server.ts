// Server side of a replica: the store on disk and the process around the core.
export * from './shell/options.js'
export * from './shell/storage.js'
export { openReplicaStore, STORE_FILE, type StoreIdentity } from './shell/open-store.js'
export { LmdbStore } from './shell/lmdb-store.js'
export { startReplica } from './shell/start-replica.js'
