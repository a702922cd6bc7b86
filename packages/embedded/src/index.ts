// @coppice/embedded: a whole cluster inside a test's process.
// The reference gives `Symbol.asyncDispose` to users whose own TypeScript settings do not name it.
/// <reference lib="esnext.disposable" preserve="true" />
export { CoppiceError } from '@coppice/protocol'
export type { EmbeddedCluster, EmbeddedConnectOptions, EmbeddedDbOptions } from './shell/cluster.js'
export {
  EMBEDDED_ELECTION,
  EMBEDDED_ELECTION_OF_SEVERAL,
  EMBEDDED_PARAMS,
  type EmbeddedLogLine,
  type EmbeddedOptions,
} from './shell/options.js'
export type { ServerState } from './shell/server.js'
export { startEmbedded } from './shell/start.js'
export type { EmbeddedServerStatus, EmbeddedStatus } from './shell/status.js'
