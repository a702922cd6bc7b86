// Config servers and replicas for a clerk under test: consensus is a shared committed log, everything a clerk can see is real.
import { CoppiceError, DEFAULT_PARAMS, readU32, writeU32 } from '@coppice/protocol'
import type {
  ClientToConfig,
  ClientToReplica,
  ConfigToClient,
  Configuration,
  Message,
  ReadsMessage,
  RefusalReason,
  ReplicaToClient,
} from '@coppice/protocol'
import { Clerk, type ClerkOptions } from '@coppice/clerk/core'
import { FakeTime, seeded } from './fake-time.js'
import { type FakeLink, FakeNetwork } from './fake-network.js'
import { type Answer, type Entry, Model } from './model-replica.js'

const COMMIT_MS = 2

export class FakeCluster {
  readonly time = new FakeTime()
  readonly network = new FakeNetwork(this.time)
  readonly random: () => number
  readonly configAddresses = ['c1:1', 'c2:1', 'c3:1']
  configuration: Configuration
  committed: Entry[] = []
  /** Everything the primaries and replicas heard, in order. */
  readonly heard: { at: string; message: Message }[] = []
  /** The primary holds back its answers while this is true. */
  stuck = false
  /** Refuses everything of this kind with this reason; undefined: no refusal. */
  refuse: ((at: string, message: ClientToReplica) => RefusalReason | undefined) | undefined
  /** What a replica does when a clerk watches, ends that, or gives credit. */
  onWatch: ((at: string, link: FakeLink, message: ClientToReplica) => void) | undefined
  invalid: (op: string) => boolean = () => false
  primaryModel = new Model()
  #held: { link: FakeLink; answer: Answer }[] = []

  constructor(seed = 1) {
    this.random = seeded(seed)
    const servers = ['r1', 'r2', 'r3', 'r4'].map((id) => ({ id, storeId: `s-${id}`, address: `${id}:1` }))
    const configServers = this.configAddresses.map((address, i) => ({ id: `c${i + 1}`, storeId: `k${i}`, address }))
    this.configuration = {
      clusterId: 'test-cluster',
      group: 'main',
      version: 1,
      epoch: 1,
      members: ['r1', 'r2', 'r3'],
      start: 1,
      checkpointId: 'x',
      servers,
      configServers,
      params: DEFAULT_PARAMS,
    }
    for (const address of this.configAddresses) this.startConfig(address)
    for (const { id } of servers) this.startReplica(id)
  }

  newClerk(options: Partial<ClerkOptions> = {}, hold?: (busy: boolean) => void): Clerk {
    const ports = {
      hold,
      clock: this.time.clock,
      random: this.random,
      configDialer: this.network.dialer<ClientToConfig, ConfigToClient>(),
      replicaDialer: this.network.dialer<ClientToReplica, ReplicaToClient>(),
    }
    return new Clerk({ configServers: this.configAddresses, ...options }, ports)
  }

  startConfig(address: string): void {
    this.network.servers.set(address, {
      kind: 'client-config',
      onMessage: (link, message) => {
        this.heard.push({ at: address, message })
        if (message.kind !== 'getConfig') return
        const { requestId } = message
        link.reply({ kind: 'config', requestId, leader: 'c1', configuration: this.configuration })
      },
    })
  }

  startReplica(id: string): void {
    const address = `${id}:1`
    this.network.servers.set(address, {
      kind: 'client-replica',
      onMessage: (link, message) => {
        this.heard.push({ at: id, message })
        this.#onMessage(id, link, message as ClientToReplica)
      },
    })
  }

  get primary(): string {
    return this.configuration.members[0]!
  }

  /** What was asked of `at`, of this kind. */
  heardOf<K extends Message['kind']>(kind: K, at?: string): Extract<Message, { kind: K }>[] {
    const found = this.heard.filter((h) => h.message.kind === kind && (at === undefined || h.at === at))
    return found.map((h) => h.message as Extract<Message, { kind: K }>)
  }

  /** Kills the primary; of what it had not committed, `keep` entries survive. A later `elect` begins the next epoch. */
  killPrimary(keep = 0): void {
    const died = this.primary
    this.committed = this.primaryModel.log.slice(0, this.committed.length + keep)
    this.#held = []
    this.network.kill(`${died}:1`)
  }

  /** A new epoch with these members, primary first. */
  elect(members: string[]): void {
    this.#held = []
    this.primaryModel = Model.replay(this.committed)
    const { version, epoch } = this.configuration
    this.configuration = { ...this.configuration, version: version + 1, epoch: epoch + 1, members }
  }

  commitAll(): void {
    this.committed = this.primaryModel.log.slice()
    const held = this.#held
    this.#held = []
    for (const { link, answer } of held) link.reply(answer.message)
  }

  expireSessions(): void {
    for (const clerkId of [...this.primaryModel.clerks.keys()]) this.primaryModel.apply({ kind: 'expire', clerkId })
    this.commitAll()
  }

  #onMessage(id: string, link: FakeLink, message: ClientToReplica): void {
    const { epoch } = this.configuration
    const reason = this.refuse?.(id, message)
    if (message.kind === 'reads') {
      if (reason !== undefined) this.#refuseReads(link, message, reason)
      else if (!this.stuck) this.#read(link, message)
      return
    }
    if (message.kind === 'getConfig') {
      const { requestId } = message
      return link.reply({ kind: 'config', requestId, leader: '', configuration: this.configuration })
    }
    if (message.kind === 'watch' || message.kind === 'unwatch' || message.kind === 'credit')
      return this.onWatch?.(id, link, message)
    if (message.kind !== 'requests' && message.kind !== 'register' && message.kind !== 'skip') return
    const model = this.primaryModel
    const clerkId = message.kind === 'register' ? 0 : message.clerkId
    const first = message.kind === 'requests' ? message.firstRequestId : message.kind === 'skip' ? message.from : 0
    const count = message.kind === 'requests' ? message.count : message.kind === 'skip' ? message.to - first + 1 : 1
    const refuse = id === this.primary ? reason : 'moved'
    if (refuse !== undefined) {
      const refused = model.refusal(message.kind, clerkId, first, count, refuse, epoch).message
      link.reply(refused.kind === 'refused' && refuse === 'moved' ? { ...refused, primary: this.primary } : refused)
      return
    }
    const answers =
      message.kind === 'requests'
        ? model.requests(message, epoch, this.invalid)
        : message.kind === 'skip'
          ? model.skip(message, epoch)
          : [model.register(message, epoch)]
    for (const answer of answers) this.#held.push({ link, answer })
    if (!this.stuck) this.time.clock.after(COMMIT_MS, () => this.#release(model))
  }

  #release(model: Model): void {
    if (model === this.primaryModel && !this.stuck) this.commitAll()
  }

  // A query is answered with its own text, so that each caller can tell its answer.
  #read(link: FakeLink, m: ReadsMessage): void {
    const parts: number[] = []
    let at = m.ops.start
    for (let i = 0; i < m.count; i++) {
      const n = readU32(m.ops.buffer, at)
      const head = new Uint8Array(8)
      writeU32(head, 0, i)
      writeU32(head, 4, n)
      parts.push(...head, ...m.ops.buffer.subarray(at + 4, at + 4 + n))
      at += 4 + n
    }
    const replies = { buffer: Uint8Array.from(parts), start: 0, end: parts.length }
    const { epoch } = this.configuration
    const { firstReadId, count } = m
    const ageMs = m.stale ? 7 : 0
    link.reply({ kind: 'readReplies', firstReadId, count, epoch, minIndex: this.committed.length + 1, ageMs, replies })
  }

  #refuseReads(link: FakeLink, m: ReadsMessage, reason: RefusalReason): void {
    const { epoch } = this.configuration
    link.reply(this.primaryModel.refusal('reads', 0, m.firstReadId, m.count, reason, epoch).message)
  }
}

export function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (c) => c.charCodeAt(0))
}
export function textOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes)
}

/** The CoppiceError with which the promise fails. */
export async function errorOf(promise: Promise<unknown>): Promise<CoppiceError> {
  try {
    await promise
  } catch (error) {
    if (error instanceof CoppiceError) return error
    throw error
  }
  throw new Error('no error')
}

/** Its own AbortController: the counts of listeners are visible. */
export class FakeSignal {
  aborted = false
  reason: unknown
  readonly listeners = new Set<() => void>()
  addEventListener(_: 'abort', listener: () => void): void {
    this.listeners.add(listener)
  }
  removeEventListener(_: 'abort', listener: () => void): void {
    this.listeners.delete(listener)
  }
  abort(reason: unknown): void {
    this.aborted = true
    this.reason = reason
    for (const listener of [...this.listeners]) listener()
  }
}
