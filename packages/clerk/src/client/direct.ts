// The hot path: operations written where they are sent from, answers read where they arrived (api.ts, DirectCalls). The clerk's own, and
// one over clerks that have only bytes to give.
import { BULK_OPERATION_BYTES } from '@coppice/protocol'
import type { CallOptions, ClerkLike, Decode, DirectCalls, ReadOptions } from './api.js'
import type { Call, CallOwner } from './call.js'
import { CallSpace } from './space.js'

export interface DirectPorts {
  /** The sessions for small and for large operations. */
  readonly small: CallOwner & { submit(call: Call): void }
  readonly bulk: CallOwner & { submit(call: Call): void }
  readonly reads: CallOwner & { submit(call: Call, options: ReadOptions | undefined): void }
  /** False: the call was refused before it began. */
  readonly begin: (call: Call, options: CallOptions | undefined) => boolean
}

export class DirectPath implements DirectCalls {
  readonly operations = new CallSpace()
  readonly queries = new CallSpace()
  readonly #ports: DirectPorts

  constructor(ports: DirectPorts) {
    this.#ports = ports
  }

  submit<T, C>(end: number, decode: Decode<T, C>, context: C, options?: CallOptions): Promise<T> {
    const { small, bulk, begin } = this.#ports
    const bytes = end - this.operations.start
    const session = bytes > BULK_OPERATION_BYTES ? bulk : small
    const { promise, call } = this.operations.take<T, C>(session, end, decode, context)
    if (begin(call, options)) session.submit(call)
    return promise
  }

  read<T, C>(end: number, decode: Decode<T, C>, context: C, options?: ReadOptions): Promise<T> {
    const { reads, begin } = this.#ports
    const { promise, call } = this.queries.take<T, C>(reads, end, decode, context)
    if (begin(call, options)) reads.submit(call, options)
    return promise
  }
}

/** Bytes taken out of the clerk's memory; for clerks without a hot path. */
class OverBytes implements DirectCalls {
  readonly operations = new CallSpace()
  readonly queries = new CallSpace()
  readonly #clerk: ClerkLike

  constructor(clerk: ClerkLike) {
    this.#clerk = clerk
  }

  async submit<T, C>(end: number, decode: Decode<T, C>, context: C, options?: CallOptions): Promise<T> {
    const { buffer, start } = this.operations
    const reply = await this.#clerk.submit(buffer.slice(start, end), options)
    return decode(reply, 0, reply.length, context)
  }

  async read<T, C>(end: number, decode: Decode<T, C>, context: C, options?: ReadOptions): Promise<T> {
    const { buffer, start } = this.queries
    const reply = await this.#clerk.read(buffer.slice(start, end), options)
    return decode(reply, 0, reply.length, context)
  }
}

/** The hot path of a clerk, or what does the same over its other methods. */
export function directOf(clerk: ClerkLike): DirectCalls {
  return clerk.direct ?? new OverBytes(clerk)
}
