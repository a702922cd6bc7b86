// The hash of the state at one index (I9), at all members: the primary chooses the end of a record and tells the others before anything behind
// it; each takes its hash there, in slices, while entries go on being applied. Nothing of the protocol rests on it.
import type { ClientToReplica, ConnectionId, Epoch, Index, ReplicaToReplicaControl, Sender } from '@coppice/protocol'
import type { Replication } from './replication.js'
import type { Shared } from './shared.js'
import type { StateHashing } from './state-machine.js'

type HashRequest = Extract<ClientToReplica, { kind: 'hash' }>
type HashAt = Extract<ReplicaToReplicaControl, { kind: 'hashAt' }>

/** Hash of everything replicated, taken at once: slow when there is much of it. */
export function stateHash(s: Shared): string {
  if (s.stateless) return 'rebuilding'
  return `${s.machine.hash()}-${s.table.hash()}`
}

export class StateHash {
  readonly #s: Shared
  readonly #replication: Replication
  /** Of the newest hash, which is wanted, taken or done: the state before this entry. */
  #index: Index = 0
  #epoch: Epoch = 0
  #machine: StateHashing | undefined
  /** Of the exactly-once table, while that of the machine is taken. */
  #clerks = ''
  #hash = ''

  constructor(s: Shared, replication: Replication) {
    this.#s = s
    this.#replication = replication
  }

  onAsk(connection: ConnectionId, m: HashRequest): void {
    const s = this.#s
    const { requestId } = m
    const answer = (index: Index, state: 'running' | 'done' | 'missed' | 'notPrimary', hash = ''): void =>
      s.reply(connection, { kind: 'hashAnswer', requestId, index, state, hash })
    if (m.index === 0) {
      if (!s.leading || !s.running) return answer(0, 'notPrimary')
      // One that another asks for at this time serves both.
      if (this.#machine === undefined) this.#choose()
      return answer(this.#index, 'running')
    }
    if (m.index !== this.#index || this.#neverBegins) return answer(m.index, 'missed')
    // What is not committed may be cut off, and another history put in its place.
    if (this.#hash === '' || s.commitIndex < m.index) return answer(m.index, 'running')
    answer(m.index, 'done', this.#hash)
  }

  onHashAt(from: Sender, { epoch, index }: HashAt): void {
    const s = this.#s
    if (epoch !== s.meta.epoch || from.id !== s.primary || !s.isMember(from)) return
    if (s.log.nextIndex > index) return
    this.#want(index)
    this.reached(s.log.nextIndex)
  }

  /** The log ends at `index` now. */
  reached(index: Index): void {
    if (index !== this.#index || this.#machine !== undefined || this.#hash !== '') return
    if (this.#epoch !== this.#s.meta.epoch) return
    this.#begin()
  }

  /** It was wanted in an epoch that has ended, and the log goes on by another way. */
  get #neverBegins(): boolean {
    return this.#machine === undefined && this.#hash === '' && this.#epoch !== this.#s.meta.epoch
  }

  get wantsSlice(): boolean {
    return this.#machine !== undefined && !this.#s.reloading
  }

  /** Idle time: takes one slice. */
  slice(): void {
    const machine = this.#machine
    if (machine === undefined || machine.next()) return
    this.#hash = `${machine.value}-${this.#clerks}`
    this.#machine = undefined
  }

  /** The state is given up, or replaced: nothing of it is held any more. */
  drop(): void {
    this.#machine?.release()
    this.#machine = undefined
    this.#index = 0
    this.#hash = ''
  }

  #want(index: Index): void {
    this.drop()
    this.#index = index
    this.#epoch = this.#s.meta.epoch
  }

  #choose(): void {
    const s = this.#s
    this.#replication.close() // the other members apply whole records
    this.#want(s.log.nextIndex)
    const { group, epoch } = s.meta
    for (const id of s.members) {
      if (id !== s.options.id) s.send(id, { kind: 'hashAt', group, epoch, index: this.#index })
    }
    this.#begin()
  }

  #begin(): void {
    const s = this.#s
    this.#machine = s.machine.hashing?.()
    if (this.#machine === undefined) this.#hash = stateHash(s)
    else this.#clerks = s.table.hash()
  }
}
