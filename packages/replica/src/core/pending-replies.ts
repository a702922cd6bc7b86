// Replies that wait for their entries to be committed (R3, PROTOCOL 6). They outlive a change of epoch that keeps the log: the
// entry then commits in the new epoch.
import type { ConnectionId, Index, ReplicaToClerk } from '@coppice/protocol'
import type { Shared } from './shared.js'

interface Pending {
  /** Index of the entry that decides it. */
  readonly index: Index
  readonly connection: ConnectionId
  readonly message: ReplicaToClerk
}

export class PendingReplies {
  readonly #s: Shared
  /** By rising index: replies to new entries. */
  #queue: Pending[] = []
  #head = 0
  /** Replies to duplicates of entries that are not committed yet. */
  #duplicates: Pending[] = []

  constructor(shared: Shared) {
    this.#s = shared
  }

  /** Answers once the entry at `index`, which is the newest of the log, is committed. */
  add(index: Index, connection: ConnectionId, message: ReplicaToClerk): void {
    this.#queue.push({ index, connection, message })
  }

  /** Answers a duplicate when the original's index is committed, and not before. */
  addDuplicate(index: Index, connection: ConnectionId, message: ReplicaToClerk): void {
    const committed = index < this.#s.commitIndex // a duplicate is answered only when its original is committed
    if (committed) this.#s.reply(connection, message)
    else this.#duplicates.push({ index, connection, message })
  }

  /** The commit index rose. */
  release(): void {
    const s = this.#s
    const queue = this.#queue
    while (this.#head < queue.length) {
      const p = queue[this.#head]!
      if (p.index >= s.commitIndex) break // R3: the reply leaves only when its index < commitIndex
      this.#head++
      s.reply(p.connection, p.message)
    }
    if (this.#head === queue.length) {
      this.#queue = []
      this.#head = 0
    } else if (this.#head > 1024 && this.#head * 2 > queue.length) {
      this.#queue = queue.slice(this.#head)
      this.#head = 0
    }
    if (this.#duplicates.length > 0) this.#releaseDuplicates()
  }

  #releaseDuplicates(): void {
    const waiting = this.#duplicates
    this.#duplicates = []
    for (const d of waiting) this.addDuplicate(d.index, d.connection, d.message)
  }

  /** Connections that wait for something, once each. */
  connections(): Set<ConnectionId> {
    this.#s.due.settle()
    const all = new Set<ConnectionId>()
    for (let i = this.#head; i < this.#queue.length; i++) all.add(this.#queue[i]!.connection)
    for (const d of this.#duplicates) all.add(d.connection)
    return all
  }

  clientGone(connection: ConnectionId): void {
    this.#s.due.settle()
    this.#queue = this.#queue.slice(this.#head).filter((p) => p.connection !== connection)
    this.#head = 0
    this.#duplicates = this.#duplicates.filter((d) => d.connection !== connection)
  }

  clear(): void {
    this.#queue = []
    this.#head = 0
    this.#duplicates = []
  }
}
