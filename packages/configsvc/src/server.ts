// A config server in this process: the register on disk, sockets and timers around the core.
export { hostConfigServer, startConfigServer } from './shell/config-host.js'
export type {
  ConfigServerStopped,
  HostConfigServerOptions,
  HostedConfigServer,
  RunningConfigServer,
  StartConfigServerOptions,
} from './shell/options.js'
export { openRegisterStore, type RegisterStore } from './shell/register-store.js'
