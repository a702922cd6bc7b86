// Server side of the key-value store.
export { startVkvReplica, type StartVkvReplicaOptions } from './shell/start-vkv-replica.js'
