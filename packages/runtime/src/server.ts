// What server processes need in addition: the WebSocket server, the driver of a core, the store, the lock, logs and signals.
export { VERSION } from './version.js'
export { afterSending } from './turn.js'
export { tuneCollector } from './collector.js'
export { lockDataDir, type DataDirLock } from './data-dir-lock.js'
export { openLmdb, type Lmdb, type LmdbKey, type LmdbOptions, type LmdbTable } from './lmdb.js'
export { createLogger, type LogFields, type Logger, type LoggerOptions, type LogLevel } from './logger.js'
export {
  NodeDriver,
  type DrivenCore,
  type DriverWire,
  type NodeDriverOptions,
  type OtherEffect,
} from './node-driver.js'
export { onShutdownSignals, type ShutdownOptions, type ShutdownSignal } from './shutdown.js'
export { StartupError, type StartupProblem } from './startup-error.js'
export type { ServerRole, ServerWireOptions, WireHandlers, WireMessages } from './wire-types.js'
export { ServerWire } from './server-wire.js'
export { wsTransport } from './listener.js'
