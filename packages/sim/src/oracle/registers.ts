// What the config service has really chosen, judged by the acceptors' disks alone: a value is chosen once a majority made it durable in
// one ballot. Agreement of the register, and the chain of epochs (I1).
import type { Accepted, ConfigState, Epoch, NodeId } from '@coppice/protocol'
import { check } from '../kernel/violation.js'

export class Registers {
  readonly #majority: number
  readonly #votes = new Map<string, { value: string; acceptors: Set<NodeId> }>()
  readonly #texts = new WeakMap<ConfigState, string>()
  readonly #chosenByVersion = new Map<number, string>()
  /** Newest chosen value. */
  newest: ConfigState | undefined
  /** First chosen value of each epoch that became active. */
  readonly activations = new Map<Epoch, ConfigState>()
  /** prev of each attempt's ENTER, by epoch and checkpointId. */
  readonly #prevByAttempt = new Map<string, Epoch>()

  constructor(configServers: number) {
    this.#majority = Math.floor(configServers / 2) + 1
  }

  get epoch(): Epoch {
    return this.newest?.epoch ?? 0
  }

  enterSent(epoch: Epoch, checkpointId: string, prev: Epoch): void {
    this.#prevByAttempt.set(`${epoch}/${checkpointId}`, prev)
  }

  /** A config server made `accepted` durable. Returns the value if this made a new epoch active. */
  accepted(acceptor: NodeId, accepted: Accepted): ConfigState | undefined {
    const { ballot, version, value } = accepted
    const key = `${ballot.round}/${ballot.node}/${version}`
    const text = this.#textOf(value)
    let vote = this.#votes.get(key)
    if (vote === undefined) {
      vote = { value: text, acceptors: new Set() }
      this.#votes.set(key, vote)
    }
    check(vote.value === text, 'P1', () => `two values in ballot ${key}: ${vote.value} and ${text}`)
    vote.acceptors.add(acceptor)
    if (vote.acceptors.size !== this.#majority) return undefined
    return this.#chosen(version, value, text)
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

  #chosen(version: number, value: ConfigState, text: string): ConfigState | undefined {
    const before = this.#chosenByVersion.get(version)
    check(before === undefined || before === text, 'P3', () => `version ${version} chosen twice: ${before} and ${text}`)
    if (before !== undefined) return undefined
    this.#chosenByVersion.set(version, text)
    const old = this.newest
    check(old === undefined || version > old.version, 'P3', () => `version ${version} chosen after ${old!.version}`)
    check(old === undefined || value.epoch >= old.epoch, 'I1', () => `epoch ${value.epoch} chosen after ${old!.epoch}`)
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
}
