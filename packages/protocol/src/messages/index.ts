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
/** What a config server says to other servers. */
export type FromConfigServer = ConfigToConfig | ConfigToReplica
/** What a replica hears from other servers, and what it says to them. */
export type ReplicaToReplica = ReplicaToReplicaData | ReplicaToReplicaControl | TransferMessage
/** What a replica hears from other servers. */
export type ToReplicaServer = ConfigToReplica | ReplicaToReplica
/** What a replica says to other servers. */
export type FromReplicaServer = ReplicaToConfig | ReplicaToReplica
/** What clients say to a replica, and hear from it. */
export type ClientToReplica = ClerkToReplica | ClientToReplicaControl
/** What clients hear from a replica. */
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
