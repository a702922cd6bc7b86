// @coppice/clerk: an exactly-once clerk for any replicated state machine, over real sockets.
export * from './core.js'
export { type ClientDialers, type ClusterUrl, clientDialers, connectAdmin, connectClerk } from './shell/connect.js'
export { type ConnectOptions } from './shell/options.js'
