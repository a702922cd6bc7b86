// The clerk as portable code over ports: what the simulator runs and other packages build on.
export type * from './client/api.js'
export { Clerk } from './client/clerk.js'
export { directOf } from './client/direct.js'
export type { AdminCallOptions } from './client/admin-call.js'
export { AdminClient, type AdminOptions, type AdminPorts, type GroupView, type ReplicaHash } from './client/admin.js'
export { type ClusterAddress, parseAddresses, parseClusterUrl } from './client/addresses.js'
export { type Duration, durationMs } from './client/duration.js'
