// Watches everything the cores do and compares it with what is on the disks: the invariants of PROTOCOL 8, at every step. It believes no
// core about itself; what it knows comes from durable writes, messages and clocks.
import { readChanges, readU32 } from '@coppice/protocol'
import type {
  Accepted,
  BytesPort,
  ChangesMessage,
  Epoch,
  Index,
  Message,
  NodeId,
  ReadRepliesMessage,
  StoreId,
} from '@coppice/protocol'
import type { DiskWrite, ReplicaMeta } from '@coppice/replica'
import type { ReplicaHost } from '../hosts/replica-host.js'
import type { ReplicaStore } from '../hosts/replica-store.js'
import { check } from '../kernel/violation.js'
import { Commits } from './commits.js'
import type { Told } from './endings.js'
import { Ledger } from './ledger.js'
import { Logs } from './logs.js'
import { Registers } from './registers.js'

export class Oracle {
  readonly stores = new Map<string, ReplicaStore>()
  readonly registers: Registers
  readonly logs = new Logs()
  readonly ledger: Ledger
  readonly commits: Commits
  /** Told of every change that a machine tells, committed or not, by everyone who applies it. */
  onChange: ((told: Told) => void) | undefined
  /** Set by the cluster. */
  replicas: readonly ReplicaHost[] = []
  readonly #durableEpoch = new Map<string, number>()
  readonly #seenCommit = new Map<string, Index>()
  readonly #hashes = new Map<string, { hash: string; node: NodeId }>()
  readonly #bytes: BytesPort
  readonly #versionOfAnswer = new Map<string, Index>()
  readonly #repliedTo = new Map<number, number>()
  /** By epoch: where its drained primary ended it, by an answer that did not wait for its disk. */
  readonly #drainedAt = new Map<Epoch, Index>()
  drains = 0
  undoneDrains = 0
  hashComparisons = 0
  /** Replies to requests that had been replied to before. */
  repeatedReplies = 0

  constructor(bytes: BytesPort) {
    this.#bytes = bytes
    this.registers = new Registers()
    this.ledger = new Ledger(bytes)
    this.commits = new Commits(this.registers, this.ledger, this.stores)
  }

  // ---- disks
  /** A config server made an accepted value durable in this store. */
  accepted(store: StoreId, accepted: Accepted): void {
    const activated = this.registers.accepted(store, accepted)
    if (activated === undefined) return
    this.commits.activated(activated)
    for (const replica of this.replicas) this.#lease(replica)
  }

  /** A replica's write is durable. */
  durable(store: ReplicaStore, write: DiskWrite): void {
    if (write.kind === 'meta') this.#meta(store, write.meta)
  }

  #meta(store: ReplicaStore, meta: ReplicaMeta): void {
    const before = this.#durableEpoch.get(meta.storeId) ?? 0
    check(
      store.destroyed || meta.epoch >= before,
      'I2',
      () => `${meta.id} went back from epoch ${before} to ${meta.epoch}`,
    )
    if (meta.epoch <= before) return
    this.#durableEpoch.set(meta.storeId, meta.epoch)
    // A store that forgot and entered a new epoch has been brought up to it.
    store.destroyed = store.destroyed && this.replicas.every((r) => r.store !== store)
    this.logs.entered(meta.id, meta.epoch, meta.checkpointId, meta.start)
    this.commits.entered(meta, store.end)
  }

  /** A machine applied an operation. */
  applied(index: Index, operation: string): void {
    this.ledger.applied(index, operation)
  }

  changed(told: Told): void {
    this.onChange?.(told)
  }

  /** A machine answered a query: equal answers may depend on less, so the least version is kept. */
  answered(answer: string, version: Index): void {
    const known = this.#versionOfAnswer.get(answer)
    if (known === undefined || version < known) this.#versionOfAnswer.set(answer, version)
  }

  // ---- what is said
  /** A replica begins to write a record. */
  proposed(host: ReplicaHost, write: { readonly firstIndex: Index; readonly bytes: Uint8Array }): void {
    this.logs.record(host.id, write.bytes, host.view?.epochAt(write.firstIndex - 1) ?? -1)
  }

  sentByConfig(_to: NodeId, message: Message): void {
    if (message.kind === 'enter') this.registers.enterSent(message.epoch, message.checkpointId, message.prev)
  }

  sentByReplica(host: ReplicaHost, to: NodeId, message: Message): void {
    const { store } = host
    switch (message.kind) {
      case 'append': {
        const value = this.registers.activations.get(message.epoch)
        check(value?.members[0] === host.id, 'I2', () => {
          return `${host.id} proposes in epoch ${message.epoch}, whose primary is ${value?.members[0] ?? 'nobody: it never ran'}`
        })
        this.logs.proposes(message.epoch, `${host.id}.${host.generation}`)
        const end = this.#drainedAt.get(message.epoch)
        check(end === undefined || message.prevIndex < end, 'drain', () => {
          return `${host.id} proposes ${message.prevIndex} in epoch ${message.epoch} after it was drained at ${end}`
        })
        break
      }
      case 'appendAck':
        check(message.durableIndex <= store.end, 'I8', () => {
          return `${host.id} tells ${to} that ${message.durableIndex} is durable; its disk has ${store.end}`
        })
        break
      case 'sealReply':
        if (!message.ok) break
        // PROTOCOL 2.3: the mark may follow the answer of the one incarnation that proposes in an epoch, if all it proposed is committed.
        if (store.meta.sealedFor < message.epoch) this.#drains(host, message)
        // ENTER may have cut the log in the same commit; what was sealed was there.
        check(
          message.nextIndex <= store.highestEnd,
          'I2',
          () => `${host.id} seals at ${message.nextIndex}; its disk has ${store.end}`,
        )
        break
      case 'enterReply':
        if (!message.ok) break
        check(store.meta.epoch === message.epoch && store.meta.checkpointId === message.checkpointId, 'I2', () => {
          return `${host.id} answers ENTER(${message.epoch}) with epoch ${store.meta.epoch} on disk`
        })
        break
      default:
    }
  }

  #drains(host: ReplicaHost, message: Extract<Message, { kind: 'sealReply' }>): void {
    const { ownEpoch, nextIndex, commitIndex } = message
    const value = this.registers.activations.get(ownEpoch)
    const self = `${host.id}.${host.generation}`
    const leads = value?.members[0] === host.id && (this.logs.proposer(ownEpoch) ?? self) === self
    check(leads, 'I2', () => `${host.id} answers SEAL(${message.epoch}) before it is durable`)
    check(commitIndex === nextIndex, 'drain', () => {
      return `${host.id} is drained at ${nextIndex} and knows ${commitIndex} committed`
    })
    this.drains++
    this.#drainedAt.set(ownEpoch, nextIndex)
  }

  /** A primary that was told to drain admits again. */
  drainUndone(node: NodeId, epoch: Epoch): void {
    this.undoneDrains++
    check(!this.#drainedAt.has(epoch), 'drain', () => `${node} admits again in epoch ${epoch}, in which it was drained`)
  }

  /** A replica answers a clerk: nothing uncommitted leaves it (I7). */
  replied(host: ReplicaHost, message: Message): void {
    if (message.kind === 'replies') {
      this.#exposes(host, message.epoch, message.minIndex)
      const before = this.#repliedTo.get(message.clerkId) ?? 0
      const last = message.firstRequestId + message.count - 1
      if (message.firstRequestId <= before) this.repeatedReplies++
      this.#repliedTo.set(message.clerkId, Math.max(before, last))
    } else if (message.kind === 'registered') this.#exposes(host, message.epoch, message.clerkId + 1)
    else if (message.kind === 'readReplies') this.#read(host, message)
    else if (message.kind === 'changes') this.#tells(host, message)
  }

  #exposes(host: ReplicaHost, epoch: Epoch, index: Index): void {
    const entryEpoch = host.view?.epochAt(index - 1) ?? -1
    if (index <= 1 || this.commits.isCommitted(index, entryEpoch)) return
    this.commits.committed(`${host.id}'s answer`, epoch, index)
    check(this.commits.isCommitted(index, entryEpoch), 'I7', () => {
      return `${host.id} tells a clerk of entry ${index - 1} of epoch ${entryEpoch}, which is not committed`
    })
  }

  /** A watcher hears of committed changes alone, and of how far that goes. */
  #tells(host: ReplicaHost, message: ChangesMessage): void {
    this.#exposes(host, message.epoch, message.next)
    const { buffer, start, end } = message.changes
    for (const { index } of readChanges(buffer, start, end)) this.#exposes(host, message.epoch, index + 1)
  }

  /** What the machine said each answer depends on must be committed, whatever the message says. */
  #read(host: ReplicaHost, message: ReadRepliesMessage): void {
    this.#exposes(host, message.epoch, message.minIndex)
    const { buffer, start, end } = message.replies
    for (let at = start; at < end;) {
      const length = readU32(buffer, at + 4)
      at += 8 + length
      const version = this.#versionOfAnswer.get(this.#bytes.latin1(buffer, at - length, at))
      if (version !== undefined) this.#exposes(host, message.epoch, version + 1)
    }
  }

  // ---- cores
  /** A core was built from disk. */
  loaded(host: ReplicaHost): void {
    this.#seenCommit.set(host.id, 0)
    const { view } = host
    if (view !== undefined) {
      check(
        view.nextIndex === host.store.end,
        'disk',
        () => `${host.id} recovered ${view.nextIndex}; its disk has ${host.store.end}`,
      )
    }
  }

  /** After every step of a replica. */
  stepped(host: ReplicaHost): void {
    const { view } = host
    if (view === undefined) return
    const commit = view.commitIndex
    if (commit !== this.#seenCommit.get(host.id)) {
      this.#seenCommit.set(host.id, commit)
      check(commit <= view.nextIndex, 'I7', () => `${host.id} knows ${commit} committed, has ${view.nextIndex}`)
      // A learner knows of commits in an epoch that it is not in; what is on the chain is committed, whoever says so.
      if (!this.commits.isCommitted(commit, view.epochAt(commit - 1)))
        this.commits.committed(host.id, view.meta.epoch, commit)
    }
    check(!view.activated || commit >= view.meta.start, 'C2', () => {
      return `${host.id} learned that epoch ${view.meta.epoch} runs from ${view.meta.start}, and knows only ${commit} committed`
    })
    this.#lease(host)
  }

  /** I4: no live lease for an epoch older than the chosen one. */
  #lease(host: ReplicaHost): void {
    const { view } = host
    if (view === undefined || view.meta.epoch >= this.registers.epoch) return
    check(!view.leaseValid(host.clock.now()), 'I4', () => {
      return `${host.id} holds a lease for epoch ${view.meta.epoch}; chosen is ${this.registers.epoch}`
    })
  }

  /** I9: equal logs make equal states. Replicas that are at one (epoch, index) now or were before are compared. */
  compareHashes(): void {
    for (const host of this.replicas) {
      const { view } = host
      if (view === undefined || view.stateless || view.nextIndex <= 1) continue
      const place = `${view.epochAt(view.nextIndex - 1)}/${view.nextIndex}`
      const hash = `${view.stateHash()} ${view.changesHash()}`
      const seen = this.#hashes.get(place)
      if (seen === undefined) this.#hashes.set(place, { hash, node: host.id })
      else {
        this.hashComparisons++
        check(
          seen.hash === hash,
          'I9',
          () => `${host.id} and ${seen.node} differ in state or changes at (epoch/index) ${place}`,
        )
      }
    }
  }
}
