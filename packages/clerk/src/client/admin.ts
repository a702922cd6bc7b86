// A small client for operators (the command): asks config servers and replicas questions, and asks for a reconfiguration.
// Follows the leader; a repeated reconfiguration keeps its adminId and gets its first answer again.
import type {
  AdminResult,
  Affinity,
  ClientToConfig,
  ClientToReplica,
  Clock,
  ConfigState,
  ConfigToClient,
  ConfigServerChange,
  Configuration,
  CoppiceError,
  Dialer,
  Epoch,
  GroupName,
  NodeId,
  Outcome,
  ProcessStatus,
  Random,
  ReplicaToClient,
} from '@coppice/protocol'
import { AdminCall, type AdminCallHost, type AdminCallOptions, type Silence } from './admin-call.js'
import { backoffMs } from './backoff.js'
import { refusedCall } from './failures.js'

/** A config server that has not answered by then is passed over for the next, ms. */
const PATIENCE_MS = 1_000
/** A change takes its time; after this long without a result it is asked for again, elsewhere first: its server may be stuck. */
const ADMIN_PATIENCE_MS = 5_000
const POLL_BASE_MS = 50
/** As the servers take it, characters. */
const MAX_ADMIN_ID = 64
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
  /** Of calls that name no timeout, ms. Default 10,000. */
  readonly timeoutMs?: number | undefined
}
/** A group as the config service knows it. */
export interface GroupView {
  /** Who leads the config service, as far as the answering server knows. */
  readonly leader: NodeId | ''
  readonly state: ConfigState
}
/** The state of one member as a hash, with the place in the log it belongs to: the state before entry `index`. */
export interface ReplicaHash {
  readonly index: number
  /**
   * `running`: ask again. `missed`: this replica took none there, since it was not a member then or has restarted. `notPrimary`: it
   * cannot choose an index.
   */
  readonly state: 'running' | 'done' | 'missed' | 'notPrimary'
  /** Once `done`, when everything before `index` is committed. */
  readonly hash: string
}

type ConfigQuestion = Extract<ClientToConfig, { requestId: number }>
type ReplicaQuestion = Extract<ClientToReplica, { requestId: number }>
type ConfigReply = Extract<ConfigToClient, { requestId: number }>
type ReplicaReply = Extract<ReplicaToClient, { requestId: number }>

/** What an answer is worth: the value, or who may know more. */
type Taken<T> = { readonly value: T } | { readonly tryLeader: NodeId | ''; readonly said: string }

/**
 * An operator's client: asks servers how they are and the config service for changes. Every failure is a CoppiceError: UNAVAILABLE when nobody
 * answers, TIMEOUT when somebody owes the answer, ABORTED, CLOSED, WRONG_CLUSTER, PROTOCOL_VERSION, INVALID_ARGUMENT. The outcome of a failed
 * question is `not-applied`; that of a change is `unknown` once it was sent.
 */
export class AdminClient {
  readonly #ports: AdminPorts
  readonly #options: AdminOptions
  readonly #host: AdminCallHost
  #addresses: string[]
  #requestId = 0
  readonly #open = new Set<AdminCall>()
  readonly #addressById = new Map<NodeId, string>()
  /** Newest of the group that a config server has told of. */
  #epoch: Epoch | undefined
  #closed = false

  constructor(options: AdminOptions, ports: AdminPorts) {
    this.#options = options
    this.#ports = ports
    this.#host = {
      clock: ports.clock,
      timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      closed: () => this.#closed,
      epoch: () => this.#epoch,
    }
    this.#addresses = [...options.configServers]
  }

  /** What replicas and clerks know of the group, as the first server that answers knows it. */
  async getConfig(options?: AdminCallOptions): Promise<Configuration> {
    const { group } = this.#options
    const question = (requestId: number): ConfigQuestion => ({ kind: 'getConfig', requestId, group })
    return this.#calling('not-applied', options, (call) =>
      this.#askConfig(call, PATIENCE_MS, question, (answer) => {
        if (answer.kind !== 'config') return undefined
        const { leader, configuration } = answer
        if (configuration === null) return { tryLeader: leader, said: `knows no group ${group} yet` }
        this.#told(configuration.epoch)
        return { value: configuration }
      }),
    )
  }

  /** The whole register of the group: the leader's if it answers at once, or else what the first server that answers knows. */
  async getGroup(options?: AdminCallOptions): Promise<GroupView> {
    return this.#calling('not-applied', options, (call) => this.#groupOf(call))
  }

  async #groupOf(call: AdminCall): Promise<GroupView> {
    const { group } = this.#options
    const question = (requestId: number): ConfigQuestion => ({ kind: 'getGroup', requestId, group })
    let askedAt = ''
    const view = await this.#askConfig(call, PATIENCE_MS, question, (answer, address): Taken<GroupView> | undefined => {
      if (answer.kind !== 'groupAnswer') return undefined
      const { leader, state } = answer
      if (state === null) return { tryLeader: leader, said: `knows no group ${group} yet` }
      this.#learn(state)
      askedAt = address
      return { value: { leader, state } }
    })
    const leads = this.#addressById.get(view.leader)
    if (leads === undefined || leads === askedAt || call.over) return view
    const answer = await call.ask(this.#ports.configDialer, leads, question(++this.#requestId), PATIENCE_MS)
    if (call.abandoned) throw call.failure('', [])
    if (!('kind' in answer) || answer.kind !== 'groupAnswer' || answer.state === null) return view
    this.#learn(answer.state)
    return { leader: answer.leader, state: answer.state }
  }

  /**
   * Moves the group to these members, primary first, and waits for the result; a result with `ok: false` says why not.
   * `adminId` names the request across retries. A failure may leave the outcome `unknown`: ask again with the same adminId.
   */
  async reconfigure(to: readonly NodeId[], adminId: string, options?: AdminCallOptions): Promise<AdminResult> {
    return this.#change({ adminId, to: [...to] }, options)
  }

  /** Makes a member the primary; the members stay. Otherwise the same as `reconfigure`. */
  async handover(to: NodeId, adminId: string, options?: AdminCallOptions): Promise<AdminResult> {
    return this.#change({ adminId, to: [to], handover: true }, options)
  }

  /** Whether the primary follows the zone most writes come from. Otherwise the same as `reconfigure`. */
  async setAffinity(affinity: Affinity['mode'], adminId: string, options?: AdminCallOptions): Promise<AdminResult> {
    return this.#change({ adminId, to: [], affinity }, options)
  }

  #change(
    change: { adminId: string; to: NodeId[]; handover?: true; affinity?: Affinity['mode'] },
    options: AdminCallOptions | undefined,
  ): Promise<AdminResult> {
    const { group } = this.#options
    return this.#ofLeader((requestId) => ({ kind: 'admin', requestId, group, ...change }), options)
  }

  /**
   * Adds one config server, removes one, or adds one and then removes one, and waits for the result; a result with `ok: false` says why not and
   * how far it came. `adminId` names the request across retries, as for `reconfigure`.
   */
  async changeConfigServers(
    change: ConfigServerChange,
    adminId: string,
    options?: AdminCallOptions,
  ): Promise<AdminResult> {
    return this.#ofLeader((requestId) => ({ kind: 'changeConfigServers', requestId, adminId, change }), options)
  }

  // A change is answered when it is done; whoever does not lead says so at once.
  #ofLeader(
    question: (requestId: number) => Extract<ConfigQuestion, { adminId: string }>,
    options: AdminCallOptions | undefined,
  ): Promise<AdminResult> {
    const { adminId } = question(0)
    if (typeof adminId !== 'string' || adminId === '' || adminId.length > MAX_ADMIN_ID)
      throw refusedCall(
        'INVALID_ARGUMENT',
        `adminId: a name of this change is wanted, of 1 to ${MAX_ADMIN_ID} characters`,
      )
    return this.#calling('unknown', options, (call) =>
      this.#askConfig(call, ADMIN_PATIENCE_MS, question, (answer) => {
        if (answer.kind !== 'adminAnswer') return undefined
        const { leader, result } = answer
        return result === null ? { tryLeader: leader, said: 'does not lead the config service' } : { value: result }
      }),
    )
  }

  /** The status of one server. */
  async status(address: string, kind: 'config' | 'replica', options?: AdminCallOptions): Promise<ProcessStatus> {
    const question = { kind: 'status' as const, requestId: ++this.#requestId }
    return this.#calling('not-applied', options, async (call) => {
      const answer =
        kind === 'config'
          ? await call.ask(this.#ports.configDialer, address, question, Infinity)
          : await call.ask(this.#ports.replicaDialer, address, question, Infinity)
      if ('kind' in answer && answer.kind === 'statusAnswer') return answer.status
      throw failureAt(call, address, answer)
    })
  }

  /**
   * The state hash of one replica at `index`; 0: the replica, if it is the primary, chooses one, at which every member takes its hash from
   * then on, in its idle time. Asked again until it is `done`.
   */
  async hash(address: string, index: number, options?: AdminCallOptions): Promise<ReplicaHash> {
    const question: ReplicaQuestion = { kind: 'hash', requestId: ++this.#requestId, index }
    return this.#calling('not-applied', options, async (call) => {
      const answer = await call.ask(this.#ports.replicaDialer, address, question, Infinity)
      if (!('kind' in answer) || answer.kind !== 'hashAnswer') throw failureAt(call, address, answer)
      return { index: answer.index, state: answer.state, hash: answer.hash }
    })
  }

  /** Ends open calls with CLOSED, and their links. */
  close(): void {
    this.#closed = true
    for (const call of this.#open) call.end()
  }

  async #calling<T>(
    outcomeOnceSent: Outcome,
    options: AdminCallOptions | undefined,
    work: (call: AdminCall) => Promise<T>,
  ): Promise<T> {
    const call = new AdminCall(this.#host, outcomeOnceSent, options ?? {})
    if (this.#open.size === 0) this.#ports.hold?.(true)
    this.#open.add(call)
    try {
      return await work(call)
    } finally {
      call.end()
      this.#open.delete(call)
      if (this.#open.size === 0) this.#ports.hold?.(false)
    }
  }

  // Asks one config server after the other, the named leader first, until `read` makes a value of an answer.
  async #askConfig<T>(
    call: AdminCall,
    patienceMs: number,
    question: (requestId: number) => ConfigQuestion,
    read: (answer: ConfigReply, address: string) => Taken<T> | undefined,
  ): Promise<T> {
    const { random, configDialer } = this.#ports
    const silenceByAddress = new Map<string, Silence>()
    let at = 0
    for (let tries = 0; !call.over; tries++) {
      const address = this.#addresses[at % this.#addresses.length]!
      const answer = await call.ask(configDialer, address, question(++this.#requestId), patienceMs)
      const taken = 'kind' in answer ? read(answer, address) : undefined
      if (taken !== undefined && 'value' in taken) return taken.value
      silenceByAddress.set(address, taken === undefined ? silenceOf(answer) : { ...ANSWERED, said: taken.said })
      if (this.#addresses.every((each) => silenceByAddress.get(each)?.refused !== undefined)) break
      at = this.#placeOf(taken?.tryLeader ?? '') ?? (at + 1) % this.#addresses.length
      const round = Math.floor(tries / this.#addresses.length)
      if (tries > 0) await call.pause(backoffMs(round, POLL_BASE_MS, POLL_MAX_MS, random))
    }
    const words = [...silenceByAddress].map(([address, { said }]) => `config server ${address}: ${said}`).join('; ')
    throw call.failure(words, [...silenceByAddress.values()])
  }

  #learn({ configServers, epoch }: ConfigState): void {
    this.#told(epoch)
    for (const { id, address } of configServers) {
      this.#addressById.set(id, address)
      if (!this.#addresses.includes(address)) this.#addresses.push(address)
    }
  }

  #told(epoch: Epoch): void {
    this.#epoch = Math.max(epoch, this.#epoch ?? 0)
  }

  #placeOf(leader: NodeId | ''): number | undefined {
    const address = this.#addressById.get(leader)
    const place = address === undefined ? -1 : this.#addresses.indexOf(address)
    return place < 0 ? undefined : place
  }
}

/** Of a server that answered, and not with what was asked for. */
const ANSWERED = { refused: undefined, owed: false } as const

function silenceOf(answer: ConfigReply | ReplicaReply | Silence): Silence {
  return 'kind' in answer ? { ...ANSWERED, said: `answered with ${answer.kind}` } : answer
}

function failureAt(call: AdminCall, address: string, answer: ConfigReply | ReplicaReply | Silence): CoppiceError {
  const silence = silenceOf(answer)
  return call.failure(`${address}: ${silence.said}`, [silence])
}
