// SEAL and RELINQUISH (PROTOCOL 2.3, 2.5): the promise to an epoch above the own one, durable before it is answered, but for a drained
// primary's. From then on the log is frozen until ENTER.
import type { ConfigToReplica, Epoch, NodeId } from '@coppice/protocol'
import type { Backup } from './backup.js'
import type { Lease } from './lease.js'
import type { Reads } from './reads.js'
import type { Replication } from './replication.js'
import type { Shared } from './shared.js'
import type { Snapshots } from './snapshots.js'

type SealMessage = Extract<ConfigToReplica, { kind: 'seal' }>
type RelinquishMessage = Extract<ConfigToReplica, { kind: 'relinquish' }>

export class Sealing {
  readonly #s: Shared
  readonly #replication: Replication
  readonly #backup: Backup
  readonly #reads: Reads
  readonly #lease: Lease
  readonly #snapshots: Snapshots

  constructor(s: Shared, r: Replication, backup: Backup, reads: Reads, lease: Lease, snapshots: Snapshots) {
    this.#s = s
    this.#replication = r
    this.#backup = backup
    this.#reads = reads
    this.#lease = lease
    this.#snapshots = snapshots
  }

  onSeal(from: NodeId, m: SealMessage): void {
    const s = this.#s
    const { epoch, sealedFor } = s.meta
    // Another store registered under this name: this one must never be a source.
    const registered = s.configuration?.servers.find((x) => x.id === s.options.id)
    if (registered !== undefined && registered.storeId !== s.meta.storeId) {
      return this.#answer(from, m.epoch, 'this store is not the registered one')
    }
    // Amnesia: it does not remember an epoch it was a member of.
    if (epoch < m.prev)
      return this.#answer(from, m.epoch, `own epoch ${epoch} is below ${m.prev}: it has lost its memory`)
    // Late: it is in that epoch, or beyond it.
    if (m.epoch <= epoch) return this.#answer(from, m.epoch, `own epoch is ${epoch} already`)
    // Another attempt got further.
    if (m.epoch < sealedFor) return this.#answer(from, m.epoch, `sealed for ${sealedFor} already`)
    this.promise(m.epoch)
    this.again(from, m.epoch)
  }

  /** Answers that this store is sealed for `epoch`, once that is durable. */
  again(to: NodeId, epoch: Epoch): void {
    const s = this.#s
    const frozen = s.log.nextIndex
    s.disk.whenDurable(() => {
      // ENTER overtook this answer and changes the log: it is not what was sealed any more.
      if (!s.reloading && s.log.nextIndex === frozen) this.#answer(to, epoch, '') // the seal is durable before it is answered
    })
  }

  /**
   * The primary's own epoch ends here, drained: all it proposed is committed, and nobody else proposes in it, this server after a restart
   * neither (PROTOCOL 2.7, its claim). So the answer need not wait for the mark, which is for reports and for ENTERs of older attempts.
   */
  drained(to: NodeId, epoch: Epoch): void {
    this.promise(epoch)
    this.#answer(to, epoch, '')
  }

  /** Promises `epoch`: flushes what was admitted, then the mark, in order, one durable point. */
  promise(epoch: Epoch): void {
    const s = this.#s
    if (s.meta.sealedFor >= epoch) return
    this.freeze()
    s.writeMeta({ sealedFor: epoch })
    s.event('sealed', { sealedFor: epoch, nextIndex: s.log.nextIndex, commitIndex: s.commitIndex })
  }

  /** Ends this replica's part in its epoch: nothing is proposed, appended or committed in it any more. */
  freeze(): void {
    const s = this.#s
    if (s.leading) this.#replication.close() // what was admitted must be in the log
    s.leading = false
    this.#replication.stop()
    this.#backup.clear()
    this.#snapshots.endEpoch()
    this.#reads.endEpoch()
  }

  /** RELINQUISH(r): no lease of an epoch below r is held or taken from here on. */
  onRelinquish(from: NodeId, m: RelinquishMessage): void {
    this.#lease.relinquish(m.epoch)
    this.#s.send(from, { kind: 'relinquished', group: this.#s.meta.group, epoch: m.epoch })
  }

  #answer(to: NodeId, epoch: Epoch, reason: string): void {
    const s = this.#s
    const { group, lineage, sealedFor, cut } = s.meta
    // A newer promise overtook this answer, or the epoch itself was entered.
    if (reason === '' && (s.meta.epoch >= epoch || sealedFor !== epoch)) return
    const { nextIndex, base } = s.log
    const { commitIndex, rules } = s
    const own = {
      ownEpoch: s.meta.epoch,
      sealedFor,
      nextIndex,
      base,
      commitIndex,
      lineage: lineage.map(([e, i]): [number, number] => [e, i]),
      ...(cut === undefined ? {} : { cut }),
    }
    s.send(to, { kind: 'sealReply', group, epoch, ok: reason === '', reason, ...own, digest: rules.digest })
  }
}
