// A small client for operators (the command): asks config servers and replicas questions, and asks for a reconfiguration.
// Follows the leader; a repeated reconfiguration keeps its adminId and gets its first answer again.
import { CoppiceError } from '@coppice/protocol'
import type {
  AdminResult,
  Affinity,
  ClientLink,
  ClientToConfig,
  ClientToReplica,
  Clock,
  ConfigState,
  ConfigToClient,
  ConfigServerChange,
  Configuration,
  Dialer,
  ErrorCode,
  GroupName,
  Millis,
  NodeId,
  Outcome,
  ProcessStatus,
  Random,
  ReplicaToClient,
} from '@coppice/protocol'
import { backoffMs } from './backoff.js'
import { lastingRefusal } from './refusal.js'

/** A config server that has not answered by then is passed over for the next, ms. */
const PATIENCE_MS = 1_000
/** A change takes its time; after this long without a result it is asked for again, elsewhere first: its server may be stuck. */
const ADMIN_PATIENCE_MS = 5_000
const POLL_BASE_MS = 50
const POLL_MAX_MS = 500
const DEFAULT_TIMEOUT_MS = 10_000

/** Everything outside; the simulator passes its own. */
export interface AdminPorts {
  readonly clock: Clock
  readonly random: Random
  readonly configDialer: Dialer<ClientToConfig, ConfigToClient>
  readonly replicaDialer: Dialer<ClientToReplica, ReplicaToClient>
  /** Told when questions begin and end to be open; the shell keeps the process alive meanwhile. */
  readonly hold?: ((busy: boolean) => void) | undefined
}
/** Whom an operator's client asks, and for how long. */
export interface AdminOptions {
  /** Addresses (host:port) of some config servers; more are learned. */
  readonly configServers: readonly string[]
  readonly group: GroupName
  /** Of each question, retries included. Default 10,000. */
  readonly timeoutMs?: number | undefined
}
/** A group as the config service knows it. */
export interface GroupView {
  /** Who leads the config service, as far as the answering server knows. */
  readonly leader: NodeId | ''
  readonly state: ConfigState
}
/** The state of one member as a hash, with the place in the log it belongs to. */
export interface ReplicaHash {
  readonly nextIndex: number
  readonly commitIndex: number
  readonly hash: string
}

type ConfigQuestion = Extract<ClientToConfig, { requestId: number }>
type ReplicaQuestion = Extract<ClientToReplica, { requestId: number }>
type ConfigReply = Extract<ConfigToClient, { requestId: number }>
type ReplicaReply = Extract<ReplicaToClient, { requestId: number }>

/** What an answer is worth: the value, or who may know more. */
type Taken<T> = { readonly value: T } | { readonly tryLeader: NodeId | ''; readonly said: string }

/** Why a server gave no answer. */
interface Silence {
  readonly said: string
  readonly refused: ErrorCode | undefined
}

/** An operator's client: asks servers how they are and the config service for changes. Every failure is a CoppiceError. */
export class AdminClient {
  readonly #ports: AdminPorts
  readonly #options: AdminOptions
  readonly #timeoutMs: number
  #addresses: string[]
  #requestId = 0
  readonly #open = new Set<() => void>()
  readonly #addressById = new Map<NodeId, string>()
  #waits = 0
  #closed = false

  constructor(options: AdminOptions, ports: AdminPorts) {
    this.#options = options
    this.#ports = ports
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS
    this.#addresses = [...options.configServers]
  }

  /** What replicas and clerks know of the group, as the first server that answers knows it. */
  async getConfig(): Promise<Configuration> {
    const { group } = this.#options
    return this.#askConfig(
      'not-applied',
      (requestId) => ({ kind: 'getConfig', requestId, group }),
      (answer) => {
        if (answer.kind !== 'config') return undefined
        if (answer.configuration === null) return { tryLeader: answer.leader, said: `knows no group ${group} yet` }
        return { value: answer.configuration }
      },
    )
  }

  /** The whole register of the group: the leader's if it answers at once, or else what the first server that answers knows. */
  async getGroup(): Promise<GroupView> {
    const { group } = this.#options
    const question = (requestId: number): ConfigQuestion => ({ kind: 'getGroup', requestId, group })
    let askedAt = ''
    const view = await this.#askConfig('not-applied', question, (answer, address): Taken<GroupView> | undefined => {
      if (answer.kind !== 'groupAnswer') return undefined
      const { leader, state } = answer
      if (state === null) return { tryLeader: leader, said: `knows no group ${group} yet` }
      this.#learn(state.configServers)
      askedAt = address
      return { value: { leader, state } }
    })
    const leads = this.#addressById.get(view.leader)
    if (leads === undefined || leads === askedAt) return view
    const answer = await this.#ask(this.#ports.configDialer, leads, question(++this.#requestId), PATIENCE_MS)
    if (!('kind' in answer) || answer.kind !== 'groupAnswer' || answer.state === null) return view
    return { leader: answer.leader, state: answer.state }
  }

  /**
   * Moves the group to these members, primary first, and waits for the result; a result with `ok: false` says why not.
   * `adminId` names the request across retries. A timeout leaves the outcome unknown: ask again with the same adminId.
   */
  async reconfigure(to: readonly NodeId[], adminId: string): Promise<AdminResult> {
    return this.#change({ adminId, to: [...to] })
  }

  /** Makes a member the primary; the members stay. Otherwise the same as `reconfigure`. */
  async handover(to: NodeId, adminId: string): Promise<AdminResult> {
    return this.#change({ adminId, to: [to], handover: true })
  }

  /** Whether the primary follows the zone most writes come from. Otherwise the same as `reconfigure`. */
  async setAffinity(affinity: Affinity['mode'], adminId: string): Promise<AdminResult> {
    return this.#change({ adminId, to: [], affinity })
  }

  #change(change: {
    adminId: string
    to: NodeId[]
    handover?: true
    affinity?: Affinity['mode']
  }): Promise<AdminResult> {
    const { group } = this.#options
    const question = (requestId: number): ConfigQuestion => ({ kind: 'admin', requestId, group, ...change })
    return this.#askConfig('unknown', question, (answer) => {
      if (answer.kind !== 'adminAnswer') return undefined
      if (answer.result === null) return { tryLeader: answer.leader, said: 'does not lead the config service' }
      return { value: answer.result }
    })
  }

  /**
   * Adds one config server, removes one, or adds one and then removes one, and waits for the result; a result with `ok: false` says why not and
   * how far it came. `adminId` names the request across retries, as for `reconfigure`.
   */
  async changeConfigServers(change: ConfigServerChange, adminId: string): Promise<AdminResult> {
    const question = (requestId: number): ConfigQuestion => ({
      kind: 'changeConfigServers',
      requestId,
      adminId,
      change,
    })
    return this.#askConfig('unknown', question, (answer) => {
      if (answer.kind !== 'adminAnswer') return undefined
      if (answer.result === null) return { tryLeader: answer.leader, said: 'does not lead the config service' }
      return { value: answer.result }
    })
  }

  /** The status of one server. Throws UNAVAILABLE when it does not answer. */
  async status(address: string, kind: 'config' | 'replica', timeoutMs = this.#timeoutMs): Promise<ProcessStatus> {
    const requestId = ++this.#requestId
    const question = { kind: 'status' as const, requestId }
    const answer =
      kind === 'config'
        ? await this.#ask(this.#ports.configDialer, address, question, timeoutMs)
        : await this.#ask(this.#ports.replicaDialer, address, question, timeoutMs)
    if ('kind' in answer && answer.kind === 'statusAnswer') return answer.status
    throw noAnswer(`${address}: ${saidBy(answer)}`, refusedBy(answer), 'not-applied')
  }

  /** The state hash of one replica. Throws UNAVAILABLE when it does not answer. */
  async hash(address: string, timeoutMs = this.#timeoutMs): Promise<ReplicaHash> {
    const question: ReplicaQuestion = { kind: 'hash', requestId: ++this.#requestId }
    const answer = await this.#ask(this.#ports.replicaDialer, address, question, timeoutMs)
    if ('kind' in answer && answer.kind === 'hashAnswer') {
      return { nextIndex: answer.nextIndex, commitIndex: answer.commitIndex, hash: answer.hash }
    }
    throw noAnswer(`${address}: ${saidBy(answer)}`, refusedBy(answer), 'not-applied')
  }

  /** Ends open questions and their links. */
  close(): void {
    this.#closed = true
    for (const end of [...this.#open]) end()
  }

  // Asks one config server after the other, the named leader first, until `read` makes a value of an answer.
  async #askConfig<T>(
    outcome: Outcome,
    question: (requestId: number) => ConfigQuestion,
    read: (answer: ConfigReply, address: string) => Taken<T> | undefined,
  ): Promise<T> {
    const { clock, random, configDialer } = this.#ports
    const deadline: Millis = clock.now() + this.#timeoutMs
    const saidByAddress = new Map<string, Silence>()
    let at = 0
    for (let tries = 0; !this.#closed; tries++) {
      const left = deadline - clock.now()
      if (left <= 0) break
      const address = this.#addresses[at % this.#addresses.length]!
      const message = question(++this.#requestId)
      // A change is answered when it is done; whoever does not lead says so at once.
      const patience =
        message.kind === 'admin' || message.kind === 'changeConfigServers' ? ADMIN_PATIENCE_MS : PATIENCE_MS
      const answer = await this.#ask(configDialer, address, message, Math.min(left, patience))
      const taken = 'kind' in answer ? read(answer, address) : undefined
      if (taken !== undefined && 'value' in taken) return taken.value
      const said = taken?.said ?? saidBy(answer)
      saidByAddress.set(address, { said, refused: refusedBy(answer) })
      if (this.#addresses.every((each) => saidByAddress.get(each)?.refused !== undefined)) break
      at = this.#placeOf(taken?.tryLeader ?? '') ?? (at + 1) % this.#addresses.length
      const round = Math.floor(tries / this.#addresses.length)
      if (tries > 0) await this.#wait(backoffMs(round, POLL_BASE_MS, POLL_MAX_MS, random))
    }
    const words = [...saidByAddress].map(([address, { said }]) => `config server ${address}: ${said}`).join('; ')
    throw noAnswer(
      this.#closed ? 'closed' : words,
      [...saidByAddress.values()].find((s) => s.refused)?.refused,
      outcome,
    )
  }

  #learn(servers: readonly { readonly id: NodeId; readonly address: string }[]): void {
    for (const { id, address } of servers) {
      this.#addressById.set(id, address)
      if (!this.#addresses.includes(address)) this.#addresses.push(address)
    }
  }

  #placeOf(leader: NodeId | ''): number | undefined {
    const address = this.#addressById.get(leader)
    const place = address === undefined ? -1 : this.#addresses.indexOf(address)
    return place < 0 ? undefined : place
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#hold(1)
      this.#ports.clock.after(ms, () => {
        this.#hold(-1)
        resolve()
      })
    })
  }

  #hold(change: 1 | -1): void {
    this.#waits += change
    if (this.#waits === (change === 1 ? 1 : 0)) this.#ports.hold?.(change === 1)
  }

  // One question on a link of its own: operators ask rarely, and a fresh link tells at once whether the server is there.
  #ask<Q, A extends ConfigToClient | ReplicaToClient>(
    dialer: Dialer<Q, A>,
    address: string,
    question: Q & { readonly requestId: number },
    timeoutMs: number,
  ): Promise<Extract<A, { requestId: number }> | Silence> {
    return new Promise((resolve) => {
      const link: ClientLink<Q, A> = dialer.dial(address)
      const end = (answer: Extract<A, { requestId: number }> | Silence): void => {
        if (!this.#open.delete(onClosed)) return
        cancel()
        this.#hold(-1)
        resolve(answer)
        link.close()
      }
      const onClosed = (): void => end({ said: 'closed', refused: undefined })
      const cancel = this.#ports.clock.after(timeoutMs, () =>
        end({ said: link.open ? 'connected, no answer' : 'no answer', refused: undefined }),
      )
      this.#open.add(onClosed)
      this.#hold(1)
      link.onMessage = (message) => {
        if (isAnswerTo(message, question.requestId)) end(message as Extract<A, { requestId: number }>)
      }
      link.onClose = (reason, refusal) => end({ said: reason, refused: lastingRefusal(refusal) })
      link.send(question)
      if (this.#closed) onClosed()
    })
  }
}

function isAnswerTo(message: ConfigToClient | ReplicaToClient, requestId: number): boolean {
  return 'requestId' in message && message.requestId === requestId
}

function saidBy(answer: ConfigReply | ReplicaReply | Silence): string {
  return 'kind' in answer ? `answered with ${answer.kind}` : answer.said
}

function refusedBy(answer: ConfigReply | ReplicaReply | Silence): ErrorCode | undefined {
  return 'kind' in answer ? undefined : answer.refused
}

function noAnswer(words: string, refused: ErrorCode | undefined, outcome: Outcome): CoppiceError {
  return new CoppiceError(`no answer: ${words}`, {
    code: refused ?? 'UNAVAILABLE',
    outcome,
    retryable: refused === undefined,
  })
}
