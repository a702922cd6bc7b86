// The contract between a pure core and its driver, the same in production and in the simulator: every input is a value,
// time is an argument, what is to be done comes out as a list of effects. A core never sees a clock, a socket or a disk.
import type { EventName } from './events.js'
import type { Millis, NodeId, StoreId } from './ids.js'

/** Handle of one client connection, unique in its process. Never reused. */
export type ConnectionId = number

/**
 * A protocol state machine.
 * `step` consumes one input and returns the effects in the order in which they must be begun. The array belongs to the core and is
 * reused by the next step: the driver finishes with it before that.
 */
export interface Core<Input, Effect> {
  step(now: Millis, input: Input): readonly Effect[]
  /** The driver gives a `tick` input once `now` reaches this; Infinity: no need. Read again after every step. */
  readonly wakeAt: Millis
}

/** The sender of a message between servers, as its link's hello proved it. */
export interface Sender {
  readonly id: NodeId
  readonly storeId: StoreId
}

/** Inputs that every core knows; `M` is what servers say to it, `C` what clients say. */
export type CommonInput<M, C> =
  /** From the driver: `wakeAt` was reached. */
  | { readonly kind: 'tick' }
  /** From another server. */
  | { readonly kind: 'message'; readonly from: Sender; readonly message: M }
  /** From a client connection (a clerk or the command). */
  | { readonly kind: 'client'; readonly connection: ConnectionId; readonly message: C }
  /** A client connection is gone; what is owed to it is dropped. */
  | { readonly kind: 'clientGone'; readonly connection: ConnectionId }
  /** The `write` effect with this token is durable. Completions come in the order of the effects (R2). */
  | { readonly kind: 'written'; readonly token: number }

/** Effects that every core knows; `M` goes to servers, `C` to clients, `W` to the disk. */
export type CommonEffect<M, C, W> =
  /** To another server, by the link to it; lost when there is none. Never fails, never blocks. */
  | { readonly kind: 'send'; readonly to: NodeId; readonly message: M }
  /** To a client connection; dropped when it is gone. */
  | { readonly kind: 'reply'; readonly connection: ConnectionId; readonly message: C }
  /** Make `writes` durable, in order, after every earlier write effect; then give `written` with the token. */
  | { readonly kind: 'write'; readonly token: number; readonly writes: readonly W[] }
  /** Where a server can be reached from now on; `dial`: connect now, before there is anything to say. */
  | { readonly kind: 'address'; readonly id: NodeId; readonly address: string; readonly dial?: true }
  /** A fact for the log and the metrics; `name` is from the list in events.ts. */
  | { readonly kind: 'event'; readonly name: EventName; readonly fields: Readonly<Record<string, unknown>> }
  /** Stop this process: an invariant is broken or the store cannot be trusted. It never limps on. */
  | { readonly kind: 'halt'; readonly reason: string }
