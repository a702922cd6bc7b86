// What clients say while there is no core (it is being loaded from disk). Servers repeat themselves, so their messages may be lost;
// a client on a healthy connection does not, so its messages wait, within a bound.
import { MAX_UNCOMMITTED_BYTES, ownOps, type ClientToReplica, type ConnectionId } from '@coppice/protocol'

/** Messages held, and their bytes may be MAX_UNCOMMITTED_BYTES; what comes above is dropped, and its sender finds out by its own deadline. */
const MAX_HELD = 16_384

export type ClientInput =
  | { readonly kind: 'client'; readonly connection: ConnectionId; readonly message: ClientToReplica }
  | { readonly kind: 'clientGone'; readonly connection: ConnectionId }

export class HeldClients {
  private held: ClientInput[] = []
  private bytes = 0

  hold(input: ClientInput): void {
    if (input.kind === 'clientGone') {
      this.held = this.held.filter((h) => h.connection !== input.connection)
      this.bytes = this.held.reduce((sum, h) => sum + sizeOf(h), 0)
      return
    }
    const bytes = sizeOf(input)
    if (this.held.length >= MAX_HELD || this.bytes + bytes > MAX_UNCOMMITTED_BYTES) return
    this.held.push({ ...input, message: ofItsOwn(input.message) })
    this.bytes += bytes
  }

  release(give: (input: ClientInput) => void): void {
    const held = this.held
    this.held = []
    this.bytes = 0
    for (const input of held) give(input)
  }
}

function sizeOf(input: ClientInput): number {
  if (input.kind === 'clientGone' || !('ops' in input.message)) return 0
  return input.message.ops.end - input.message.ops.start
}

/** Operations and reads are views of received bytes, which are overwritten by what comes next. */
function ofItsOwn(message: ClientToReplica): ClientToReplica {
  if (message.kind !== 'requests' && message.kind !== 'reads') return message
  return { ...message, ops: ownOps(message.ops) }
}
