// A config server in this process: the register on disk, sockets and timers around the core.
export { startConfigServer } from './shell/config-host.js'
export type { ConfigServerStopped, RunningConfigServer, StartConfigServerOptions } from './shell/options.js'
export { openRegisterStore, type RegisterStore } from './shell/register-store.js'
