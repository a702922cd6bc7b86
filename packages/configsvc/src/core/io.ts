// What goes into a config server's core and what comes out (PROTOCOL 1–3).
import type {
  Accepted,
  Ballot,
  ClientToConfig,
  CommonEffect,
  CommonInput,
  ConfigToClient,
  ElectionParams,
  FromConfigServer,
  GroupName,
  Millis,
  NodeId,
  Params,
  StoreId,
  ToConfigServer,
} from '@coppice/protocol'

/** What a config server makes durable. */
export type RegisterWrite =
  | { readonly kind: 'promised'; readonly ballot: Ballot }
  | { readonly kind: 'accepted'; readonly group: GroupName; readonly accepted: Accepted }

/** What an acceptor finds on its disk. */
export interface RecoveredRegister {
  readonly storeId: StoreId
  readonly promised: Ballot
  readonly accepted: readonly Accepted[]
}

/** What a config server's core is given. */
export type ConfigInput =
  | CommonInput<ToConfigServer, ClientToConfig>
  /** First thing after the process itself was stalled for this long: the failure detector counts anew. */
  | { readonly kind: 'slept'; readonly sleptMs: number }
  /** The process is about to end, and waits a little for `left`. */
  | { readonly kind: 'leave' }
/** What it asks its driver to do. */
export type ConfigEffect =
  | CommonEffect<FromConfigServer, ConfigToClient, RegisterWrite>
  /** Answer to `leave`: another config server leads, or none can. */
  | { readonly kind: 'left'; readonly reason: string }

/** What a core knows from its start on. */
export interface ConfigOptions {
  readonly id: NodeId
  readonly address: string
  /** All config servers of a new cluster, this one included; some of the running cluster, this one left out, for one that joins it. */
  readonly peers: readonly { readonly id: NodeId; readonly address: string }[]
  readonly election: ElectionParams
  /** For groups formed by this server as leader: members wanted, and timing. */
  readonly wanted: number
  readonly params: Params
  /** Name for the cluster if this server forms it: random in production. */
  readonly newClusterId: string
  readonly pid: number
  /** When the process started. */
  readonly startedAt: Millis
  readonly version: string
  /** Seed of the core's own jitter: random in production, from the run's seed in the simulator. */
  readonly seed: number
}
