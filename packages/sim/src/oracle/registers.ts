// What the config service has really chosen, judged by the acceptors' disks alone: a value is chosen once a majority of the config servers it
// names made it durable in one ballot. Agreement of the register while its voters change (P1–P3, P6), and the chain of epochs (I1).
import type { Accepted, Ballot, ConfigState, Epoch, NodeId, StoreId } from '@coppice/protocol'
import { compareBallots } from '@coppice/configsvc'
import { check } from '../kernel/violation.js'

interface Vote {
  readonly value: string
  readonly stores: Set<StoreId>
  chosen: boolean
}
interface Chosen {
  readonly value: string
  /** Lowest ballot in which it was chosen. */
  readonly ballot: Ballot
}

export class Registers {
  readonly #votes = new Map<string, Vote>()
  readonly #texts = new WeakMap<ConfigState, string>()
  readonly #chosenByVersion = new Map<number, Chosen>()
  readonly #begun = new Set<string>()
  readonly #heldByStore = new Map<StoreId, number>()
  /** Newest chosen value. */
  newest: ConfigState | undefined
  /** Chosen values with other config servers than the one before. */
  changes = 0
  /** First chosen value of each epoch that became active. */
  readonly activations = new Map<Epoch, ConfigState>()
  /** prev of each attempt's ENTER, by epoch and checkpointId. */
  readonly #prevByAttempt = new Map<string, Epoch>()

  get epoch(): Epoch {
    return this.newest?.epoch ?? 0
  }

  enterSent(epoch: Epoch, checkpointId: string, prev: Epoch): void {
    this.#prevByAttempt.set(`${epoch}/${checkpointId}`, prev)
  }

  /** A config server takes this value for chosen: it must be, by the disks of those that may vote. */
  learned(id: NodeId, value: ConfigState): void {
    const { version } = value
    check(this.#chosenByVersion.get(version)?.value === this.#textOf(value), 'P1', () => {
      return `${id} takes version ${version} for chosen, which no majority of its config servers holds`
    })
  }

  /** A config server made `accepted` durable in this store. Returns the value if this made a new epoch active. */
  accepted(store: StoreId, accepted: Accepted): ConfigState | undefined {
    const { ballot, version, value } = accepted
    const key = `${ballot.round}/${ballot.node}/${version}`
    const text = this.#textOf(value)
    this.#begins(ballot, version, text)
    let vote = this.#votes.get(key)
    if (vote === undefined) {
      vote = { value: text, stores: new Set(), chosen: false }
      this.#votes.set(key, vote)
    }
    check(vote.value === text, 'P1', () => `two values in ballot ${key}: ${vote.value} and ${text}`)
    vote.stores.add(store)
    this.#heldByStore.set(store, Math.max(version, this.#heldByStore.get(store) ?? 0))
    const { stores } = vote
    if (
      vote.chosen ||
      value.configServers.filter((s) => stores.has(s.storeId)).length * 2 <= value.configServers.length
    )
      return undefined
    vote.chosen = true
    return this.#chosen(ballot, version, value, text)
  }

  /** P2: what a ballot is seen to propose first follows everything that was chosen in a lower one. */
  #begins(ballot: Ballot, version: number, text: string): void {
    const name = `${ballot.round}/${ballot.node}`
    if (this.#begun.has(name)) return
    this.#begun.add(name)
    for (let v = this.newest?.version ?? 0; v > 0; v--) {
      const before = this.#chosenByVersion.get(v)
      if (before === undefined || compareBallots(before.ballot, ballot) >= 0) continue
      check(version >= v, 'P2', () => {
        return `ballot ${name} begins at version ${version}, and version ${v} was chosen before it: it is lost`
      })
      check(version > v || text === before.value, 'P3', () => {
        return `ballot ${name} begins with another version ${version} than the one that was chosen: ${text}`
      })
      return
    }
  }

  /** Values are shared between simulated machines: each is turned into text once. */
  #textOf(value: ConfigState): string {
    let text = this.#texts.get(value)
    if (text === undefined) {
      text = JSON.stringify(value)
      this.#texts.set(value, text)
    }
    return text
  }

  #chosen(ballot: Ballot, version: number, value: ConfigState, text: string): ConfigState | undefined {
    const before = this.#chosenByVersion.get(version)
    check(before === undefined || before.value === text, 'P3', () => {
      return `version ${version} chosen twice: ${before!.value} and ${text}`
    })
    if (before !== undefined) {
      if (compareBallots(ballot, before.ballot) < 0) this.#chosenByVersion.set(version, { value: text, ballot })
      return undefined
    }
    this.#chosenByVersion.set(version, { value: text, ballot })
    const old = this.newest
    check(old === undefined || version > old.version, 'P3', () => `version ${version} chosen after ${old!.version}`)
    check(old === undefined || value.epoch >= old.epoch, 'I1', () => `epoch ${value.epoch} chosen after ${old!.epoch}`)
    if (old !== undefined) this.#changed(old, value)
    this.newest = value
    if (value.epoch === (old?.epoch ?? 0)) return undefined
    const prev = this.#prevByAttempt.get(`${value.epoch}/${value.checkpointId}`)
    check(prev === (old?.epoch ?? 0), 'I1', () => {
      return `epoch ${value.epoch} grew out of epoch ${prev}, active before it was ${old?.epoch}`
    })
    check(value.reservedEpoch >= value.epoch, 'I1', () => `epoch ${value.epoch} is active but was never reserved`)
    this.activations.set(value.epoch, value)
    return value
  }

  /** P6: one server more or less at a time, so that majorities meet; a new one holds what is chosen, under an id nobody had. */
  #changed(old: ConfigState, value: ConfigState): void {
    const has = (s: ConfigState, store: StoreId): boolean => s.configServers.some((c) => c.storeId === store)
    const added = value.configServers.filter((c) => !has(old, c.storeId))
    const removed = old.configServers.filter((c) => !has(value, c.storeId))
    if (added.length + removed.length === 0) return
    this.changes++
    check(added.length + removed.length === 1, 'P6', () => {
      return `version ${value.version} changes ${added.length + removed.length} config servers at once`
    })
    for (const { id, storeId } of added) {
      check((this.#heldByStore.get(storeId) ?? 0) >= old.version, 'P6', () => `${id} votes with an empty store`)
      check(!old.formerConfigServers.includes(id), 'P6', () => `${id} votes again under its former id`)
    }
  }
}
