// What a server process says about itself to its wire, and what the wire gives to the process.
import type {
  ClientToConfig,
  ClientToReplica,
  ClusterId,
  ConfigToClient,
  ConnectionId,
  FromConfigServer,
  FromReplicaServer,
  GroupName,
  NodeId,
  ReplicaToClient,
  Sender,
  StoreId,
  ToConfigServer,
  ToReplicaServer,
} from '@coppice/protocol'
import type { Transport } from './channel.js'
import type { Logger } from './logger.js'

/** The messages of a server's role: what it hears from servers and clients, and what it says to them. */
export interface WireMessages {
  readonly config: { hears: ToConfigServer; says: FromConfigServer; client: ClientToConfig; answer: ConfigToClient }
  readonly replica: {
    hears: ToReplicaServer
    says: FromReplicaServer
    client: ClientToReplica
    answer: ReplicaToClient
  }
}
/** Kinds of servers. */
export type ServerRole = keyof WireMessages

/** Who is told of what comes in. */
export interface WireHandlers<R extends ServerRole> {
  onMessage(from: Sender, message: WireMessages[R]['hears']): void
  onClient(connection: ConnectionId, message: WireMessages[R]['client']): void
  /** Once per connection that has spoken; nothing comes from it afterwards. */
  onClientGone(connection: ConnectionId): void
}

/** Who a server is to those it talks to. */
export interface ServerWireOptions<R extends ServerRole> {
  readonly role: R
  readonly id: NodeId
  readonly storeId: StoreId
  /** A config server serves all groups; it says the default one. */
  readonly group: GroupName
  /** host:port; port 0 takes a free one. */
  readonly listen: string
  /** '' while unknown: then any cluster's peers are accepted. */
  readonly clusterId: () => ClusterId
  /** Why this store may not speak under this id, or undefined. Without it every store may; the core sees each sender's storeId. */
  readonly refuseStore?: (peer: Sender) => string | undefined
  readonly handlers: WireHandlers<R>
  /** Default: WebSockets over TCP. */
  readonly transport?: Transport | undefined
  readonly logger: Logger
}
