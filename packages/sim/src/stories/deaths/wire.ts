// What servers say to each other, seen at three moments: about to leave, in flight, arrived (and worked on). Who looks may kill a machine
// then and there: a sender that is dead has not sent, a receiver that is dead may have made durable what it began to write, or not.
import type { Message, NodeId, Sender } from '@coppice/protocol'
import type { Cluster } from '../../cluster.js'
import type { NetworkNode } from '../../kernel/network.js'

export type Seen = 'leaving' | 'inFlight' | 'arrived'

export interface Passing {
  readonly seen: Seen
  readonly from: NodeId
  readonly to: NodeId
  readonly message: Message
}

/** What becomes of a message that is leaving: later copies arrive as well, after so many ms each. */
export type Fate = 'lost' | { readonly againAfterMs: readonly number[] } | undefined

/** Shows every message between servers to `look`; its answer counts when the message is leaving. */
export function watchWire(c: Cluster, look: (passing: Passing) => Fate): void {
  const send = c.network.send.bind(c.network)
  c.network.send = (from: NetworkNode, to: NodeId, message: Message): void => {
    const fate = look({ seen: 'leaving', from: from.id, to, message })
    if (!from.alive || fate === 'lost') return
    send(from, to, message)
    for (const ms of fate?.againAfterMs ?? []) c.kernel.after(ms, () => send(from, to, message))
    look({ seen: 'inFlight', from: from.id, to, message })
  }
  for (const host of c.hosts) {
    const receive = host.receive.bind(host)
    host.receive = (from: Sender, message: Message): void => {
      receive(from, message)
      look({ seen: 'arrived', from: from.id, to: host.id, message })
    }
  }
}
