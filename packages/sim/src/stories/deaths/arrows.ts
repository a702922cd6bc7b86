// The arrows of PROTOCOL 2: which messages carry a change from one step to the next, and which answers say that they did their work.
import type { ConfigState, Epoch, Message, NodeId } from '@coppice/protocol'

/** `fetch`: what LEARN names is asked for. `push`: the activation, told by itself or with a grant. `append`: the first record of the new epoch, whose primary holds the claim. */
export const ARROWS = [
  'reserve',
  'learn',
  'fetch',
  'drain',
  'seal',
  'enter',
  'relinquish',
  'activate',
  'push',
  'append',
] as const
/** A message of a change, named by what it does. */
export type Arrow = (typeof ARROWS)[number]

/** Tells the messages of one change of `prev`. */
export class Arrows {
  readonly prev: ConfigState
  /** Who ships, as the newest LEARN or ENTER says. */
  source: NodeId | undefined
  /** Members of the next epoch, primary first, as soon as ENTER or DRAIN name them. */
  next: readonly NodeId[] = []
  /** Version of the newest proposal of each arrow that is one. */
  readonly #versions = new Map<Arrow, number>()

  constructor(prev: ConfigState) {
    this.prev = prev
  }

  /** The arrow that this message is. */
  arrowOf(message: Message): Arrow | undefined {
    const { epoch, reservedEpoch } = this.prev
    switch (message.kind) {
      case 'propose': {
        const { value, version } = message
        const arrow = value.epoch > epoch ? 'activate' : value.reservedEpoch > reservedEpoch ? 'reserve' : undefined
        if (arrow !== undefined) this.#versions.set(arrow, version)
        return arrow
      }
      case 'learn':
        this.source = message.source.id
        return 'learn'
      case 'drain':
      case 'enter':
        this.next = message.members.map(({ id }) => id)
        if (message.kind === 'enter') this.source = message.sources[0]?.server.id
        return message.kind
      case 'seal':
      case 'relinquish':
        return message.kind
      case 'fetchLog':
      case 'fetchSnapshot':
        return 'fetch'
      case 'activate':
      case 'grant':
        return message.configuration.epoch > epoch ? 'push' : undefined
      case 'append':
        return message.epoch > epoch ? 'append' : undefined
      default:
        return undefined
    }
  }

  /** Whether this message says that the arrow did its work at its sender. */
  answers(arrow: Arrow, message: Message): boolean {
    const newer = (e: Epoch): boolean => e > this.prev.epoch
    switch (arrow) {
      case 'reserve':
      case 'activate':
        return message.kind === 'accepted' && message.version === this.#versions.get(arrow)
      case 'learn':
        return message.kind === 'learnReply' && message.state === 'ready'
      case 'fetch':
        return message.kind === 'logChunk' || message.kind === 'snapshotChunk'
      case 'drain':
        return message.kind === 'drained' || (message.kind === 'sealReply' && message.ok)
      case 'seal':
        return message.kind === 'sealReply' && message.ok
      case 'enter':
        return message.kind === 'enterReply' && message.ok
      case 'relinquish':
        return message.kind === 'relinquished' && newer(message.epoch)
      case 'push':
        return message.kind === 'report' && newer(message.epoch) && message.activated
      case 'append':
        return message.kind === 'appendAck' && newer(message.epoch)
    }
  }
}
