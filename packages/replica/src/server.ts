// Server side of a replica: the store on disk and the process around the core.
export * from './shell/options.js'
export * from './shell/storage.js'
export { LOG_DIR, openReplicaStore, STORE_FILE, type StoreIdentity } from './shell/open-store.js'
export { FRAME_BYTES, HEADER_BYTES } from './shell/log/segment-format.js'
export { DiskStore } from './shell/disk-store.js'
export { hostReplica, startReplica } from './shell/start-replica.js'
