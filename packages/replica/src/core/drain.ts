// DRAIN (PROTOCOL 2, planned changes): the primary of the running epoch admits no more, commits what is in flight, seals itself and says so as
// it would to SEAL; the primary of the next one holds what clerks send it meanwhile, and admits it in its order when it leads. No safety
// rests on holding or on admitting no more: SEAL ends an epoch that was not drained, and a drain that nobody keeps up ends by itself.
import { MAX_UNCOMMITTED_BYTES, ownOps } from '@coppice/protocol'
import type {
  ConfigToReplica,
  ConnectionId,
  Epoch,
  Millis,
  NodeId,
  RegisterMessage,
  RequestsMessage,
  SkipMessage,
} from '@coppice/protocol'
import type { Primary } from './primary.js'
import { refusedMessage } from './replies.js'
import type { Replication } from './replication.js'
import type { Sealing } from './seal.js'
import type { Shared } from './shared.js'

type DrainMessage = Extract<ConfigToReplica, { kind: 'drain' }>
type Held = { readonly connection: ConnectionId; readonly message: RequestsMessage | RegisterMessage | SkipMessage }

/** Frames held at the most; each may carry a run. */
const MAX_HELD = 16_384
/** A primary that hears nothing more of the attempt for this part of T_fail admits again. */
const KEPT_UP_PART = 1 / 4

export class Drain {
  readonly #s: Shared
  readonly #primary: Primary
  readonly #replication: Replication
  readonly #sealing: Sealing
  /** Who waits to hear that nothing is in flight. */
  #asker: NodeId | undefined
  #held: Held[] = []
  #heldBytes = 0

  constructor(shared: Shared, primary: Primary, replication: Replication, sealing: Sealing) {
    this.#s = shared
    this.#primary = primary
    this.#replication = replication
    this.#sealing = sealing
  }

  onDrain(from: NodeId, m: DrainMessage): void {
    const s = this.#s
    const target = m.members[0]?.id
    // Late: this store is in that epoch, or promised a later one.
    if (target === undefined || m.epoch <= s.meta.epoch || m.epoch < s.meta.sealedFor) return
    // Sealed for it already: the answer was lost, or is under way.
    if (s.sealed && m.epoch === s.meta.sealedFor && s.primary === s.options.id)
      return this.#sealing.again(from, m.epoch)
    const leads = s.leading && s.running && m.prev === s.meta.epoch
    if (target !== s.options.id && !leads) return this.#say(from, m.epoch) // nothing is admitted here
    const { failMs } = s.params
    // The target holds until it leads, which is some messages and writes away; each of them lengthens it.
    const until = s.now + (target === s.options.id ? failMs : failMs * KEPT_UP_PART)
    if (s.drain?.epoch === m.epoch) s.drain.until = until
    else {
      this.#end()
      s.drain = { epoch: m.epoch, target, until }
      s.event('draining', { for: m.epoch, target, nextIndex: s.log.nextIndex, commitIndex: s.commitIndex })
      if (leads) this.#replication.close()
    }
    if (leads) this.#asker = from
    else this.#say(from, m.epoch)
  }

  /** RESUME(r): the attempt was given up. */
  onResume(epoch: Epoch): void {
    if (this.#s.drain?.epoch === epoch) this.#end()
  }

  /** SEAL or ENTER of the same attempt: it goes on, and whoever will lead waits for its end. */
  lengthen(epoch: Epoch): void {
    const { drain, now, params, options } = this.#s
    if (drain?.epoch === epoch && drain.target === options.id) drain.until = Math.max(drain.until, now + params.failMs)
  }

  /** Takes what must wait until this server leads the next epoch. False: it need not wait here. */
  take({ connection, message }: Held): boolean {
    const s = this.#s
    if (s.drain === undefined || s.drain.target !== s.options.id) return false
    const bytes = sizeOf(message)
    // R4: memory is bounded, and nothing has an index yet.
    if (this.#held.length >= MAX_HELD || this.#heldBytes + bytes > MAX_UNCOMMITTED_BYTES) {
      s.reply(connection, overloaded(s, message))
      return true
    }
    this.#held.push({ connection, message: owned(message) })
    this.#heldBytes += bytes
    return true
  }

  clientGone(connection: ConnectionId): void {
    this.#held = this.#held.filter((h) => h.connection !== connection)
    this.#heldBytes = this.#held.reduce((sum, h) => sum + sizeOf(h.message), 0)
  }

  get wakeAt(): Millis {
    const { drain } = this.#s
    return drain === undefined || this.#namesOnly ? Infinity : drain.until
  }

  /** After each step: ends the epoch of this primary once nothing is in flight any more, and the drain once it is over. */
  settle(): void {
    const s = this.#s
    const { drain } = s
    if (drain === undefined) return
    if (this.#asker !== undefined && s.leading && s.commitIndex === s.log.nextIndex) {
      this.#sealing.drained(this.#asker, drain.epoch)
      this.#asker = undefined
    }
    if (this.#over(drain)) this.#end()
  }

  #over(drain: { readonly epoch: Epoch; readonly until: Millis }): boolean {
    const s = this.#s
    if (s.reloading || s.meta.sealedFor > drain.epoch) return true
    if (s.meta.epoch >= drain.epoch && s.leading) return true
    // The epoch runs, and this server does not begin to lead it.
    const { epoch = 0, members = [] } = s.configuration ?? {}
    if (epoch >= drain.epoch && (s.meta.epoch !== epoch || members[0] !== s.options.id)) return true
    return s.now >= drain.until && !this.#namesOnly
  }

  /** Sealed, and the next primary is another: it cannot admit again, only say who will. */
  get #namesOnly(): boolean {
    const s = this.#s
    return s.sealed && s.drain?.target !== s.options.id
  }

  /** What was held is admitted in its order if this server leads, else its senders are told where to go. */
  #end(): void {
    const s = this.#s
    if (s.drain === undefined) return
    s.event('drainEnded', { for: s.drain.epoch, held: this.#held.length, leads: s.leading })
    const held = this.#held
    s.drain = undefined
    this.#asker = undefined
    this.#held = []
    this.#heldBytes = 0
    for (const { connection, message } of held) {
      if (message.kind === 'requests') this.#primary.onRequests(connection, message)
      else if (message.kind === 'skip') this.#primary.onSkip(connection, message)
      else this.#primary.onRegister(connection, message)
    }
  }

  #say(to: NodeId, epoch: Epoch): void {
    const s = this.#s
    s.send(to, { kind: 'drained', group: s.meta.group, epoch, nextIndex: s.log.nextIndex })
  }
}

function sizeOf(message: Held['message']): number {
  return message.kind === 'requests' ? message.ops.end - message.ops.start : 0
}

/** The bytes of a frame are lent for one step. */
function owned(message: Held['message']): Held['message'] {
  if (message.kind === 'skip') return message
  if (message.kind === 'register') return { ...message, nonce: message.nonce.slice() }
  return { ...message, ops: ownOps(message.ops) }
}

function overloaded(s: Shared, m: Held['message']): ReturnType<typeof refusedMessage> {
  if (m.kind === 'requests') return refusedMessage(s, m.kind, m.clerkId, m.firstRequestId, m.count, 'overloaded')
  if (m.kind === 'skip') return refusedMessage(s, m.kind, m.clerkId, m.from, m.to - m.from + 1, 'overloaded')
  return refusedMessage(s, m.kind, 0, 0, 1, 'overloaded')
}
