// Notices a data directory of another cluster. The register in it names its own config servers, so a server started there would serve
// that cluster under an address at which clients look for this one. The peers it was told of are asked which cluster is theirs, as a
// client asks: most of them naming another before any names this one means that the directory is the wrong one.
import type { ClientToConfig, ClusterId, ConfigToClient, NodeId } from '@coppice/protocol'
import { clearTimeout, setTimeout, wsDialer, type Dial } from '@coppice/runtime'

const RETRY_MS = 1_000

interface Peer {
  readonly id: NodeId
  readonly address: string
}

export class ClusterCheck {
  private readonly own: ClusterId
  private readonly peers: readonly Peer[]
  private readonly onWrong: (reason: string) => void
  private readonly dial: Dial | undefined
  private readonly foreign = new Map<NodeId, ClusterId>()
  /** What is under way per peer, as a way to end it. */
  private readonly endByPeer = new Map<NodeId, () => void>()

  /** `own`: what the register says; `peers`: the other config servers this one was told of. `dial`: by default over TCP. */
  constructor(own: ClusterId, peers: readonly Peer[], onWrong: (reason: string) => void, dial?: Dial) {
    this.own = own
    this.peers = peers
    this.onWrong = onWrong
    this.dial = dial
    for (const peer of peers) this.ask(peer)
  }

  stop(): void {
    for (const end of this.endByPeer.values()) end()
    this.endByPeer.clear()
  }

  private ask(peer: Peer): void {
    let theirs: ClusterId = ''
    const link = wsDialer<ClientToConfig, ConfigToClient>({
      linkKind: 'client-config',
      clusterId: () => '',
      onClusterId: (said) => (theirs = said),
      dial: this.dial,
    }).dial(peer.address)
    this.endByPeer.set(peer.id, () => link.close())
    link.onClose = () => this.askLater(peer)
    link.onOpen = () => {
      link.close()
      // It may not have been told its cluster yet.
      if (theirs === '') this.askLater(peer)
      else this.answered(peer.id, theirs)
    }
  }

  private askLater(peer: Peer): void {
    const timer = setTimeout(() => this.ask(peer), RETRY_MS)
    this.endByPeer.set(peer.id, () => clearTimeout(timer))
  }

  private answered(id: NodeId, theirs: ClusterId): void {
    if (theirs === this.own) return this.stop()
    this.endByPeer.delete(id)
    this.foreign.set(id, theirs)
    // A single one may itself be the misdirected one.
    if (this.foreign.size * 2 <= this.peers.length) return
    this.stop()
    const named = [...this.foreign].map(([peer, cluster]) => `${peer} (cluster ${cluster})`).join(', ')
    this.onWrong(`belongs to cluster ${this.own}, not to that of ${named}`)
  }
}
