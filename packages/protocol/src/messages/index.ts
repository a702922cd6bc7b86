// The unions of messages by link: who may say what to whom.
import type {
  ClientToConfig,
  ClientToReplicaControl,
  ConfigToClient,
  ConfigToConfig,
  ConfigToReplica,
  ReplicaToClientControl,
  ReplicaToConfig,
  ReplicaToReplicaControl,
} from './control.js'
import type { ClerkToReplica, ReplicaToClerk, ReplicaToReplicaData } from './data.js'
import type { TransferMessage } from './transfer.js'

export * from './control.js'
export * from './data.js'
export * from './transfer.js'

/** What a config server hears from other servers, and what it says to them. */
export type ToConfigServer = ConfigToConfig | ReplicaToConfig
export type FromConfigServer = ConfigToConfig | ConfigToReplica
/** What a replica hears from other servers, and what it says to them. */
export type ReplicaToReplica = ReplicaToReplicaData | ReplicaToReplicaControl | TransferMessage
export type ToReplicaServer = ConfigToReplica | ReplicaToReplica
export type FromReplicaServer = ReplicaToConfig | ReplicaToReplica
/** What clients say to a replica, and hear from it. */
export type ClientToReplica = ClerkToReplica | ClientToReplicaControl
export type ReplicaToClient = ReplicaToClerk | ReplicaToClientControl
/** Any message of the system. */
export type Message =
  | ToConfigServer
  | FromConfigServer
  | ToReplicaServer
  | FromReplicaServer
  | ClientToReplica
  | ReplicaToClient
  | ClientToConfig
  | ConfigToClient
