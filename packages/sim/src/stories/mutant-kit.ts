// What directed stories are written with: a script that waits for moments of the simulated cluster, loses chosen messages, and speaks
// to chosen replicas. A story is told in order, as one async function in simulated time; every delay in it is a protocol's, not a guess.
import type { Clerk } from '@coppice/clerk/core'
import { DEFAULT_PARAMS, readU32, writeU32 } from '@coppice/protocol'
import type { Epoch, Message, NodeId } from '@coppice/protocol'
import { decodeGetReply, encodeGet } from '@coppice/vkv/core'
import type { Cluster } from '../cluster.js'
import type { ClientHost } from '../hosts/client-host.js'
import type { ConfigHost } from '../hosts/config-host.js'
import type { ReplicaHost } from '../hosts/replica-host.js'
import type { Link } from '../kernel/links.js'
import { check, Violation } from '../kernel/violation.js'
import type { Nemesis } from '../nemesis.js'
import type { Plan } from '../plan.js'
import { Calls } from '../workload/calls.js'
import type { Ending } from '../workload/calls.js'
import type { Workload } from '../workload/workload.js'
import type { Story } from './stories.js'

/** A cluster on which nothing happens but what the story does. */
const QUIET: Partial<Plan> = {
  clients: 0,
  configServers: 3,
  wanted: 3,
  spares: 0,
  params: DEFAULT_PARAMS,
  passMode: 'share',
  poison: false,
  fifo: true,
  acrossRestarts: false,
  latencyMs: 0.3,
  diskMs: 0.6,
  snapshotEveryBytes: 1_000_000,
  minLogBytesKept: 1_000_000,
  healMs: 7_000,
  keys: 1,
  verifier: false,
}

type Sent = (from: NodeId, to: NodeId, message: Message) => boolean

/** Tells `body` once the first epoch runs at all its members; it must come to its end before everything heals. */
export function scripted(name: string, body: (s: Script) => Promise<void>, plan: Partial<Plan> = {}): Story {
  const play = (c: Cluster, _n: Nemesis, w: Workload): void => {
    const script = new Script(c, w)
    script.tell(body)
  }
  return { name, plan: { ...QUIET, ...plan }, play }
}

export class Script {
  readonly c: Cluster
  readonly w: Workload
  readonly #host: ClientHost
  readonly #lost: Sent[] = []
  readonly #heard: ((from: NodeId, to: NodeId, message: Message) => void)[] = []
  #values = 0

  constructor(c: Cluster, w: Workload) {
    this.c = c
    this.w = w
    this.#host = c.newClient('script')
    c.kernel.at(c.plan.healMs, () => this.#lost.splice(0))
    const send = c.network.send.bind(c.network)
    c.network.send = (from, to, message) => {
      for (const hear of [...this.#heard]) hear(from.id, to, message)
      if (!this.#lost.some((isLost) => isLost(from.id, to, message))) send(from, to, message)
    }
  }

  tell(body: (s: Script) => Promise<void>): void {
    let ended = false
    this.c.kernel.at(this.c.plan.healMs - 1, () => {
      check(ended, 'I10', () => 'the story does not come to its end')
    })
    this.#host.run(() => {
      this.#begin(body).then(
        () => (ended = true),
        (error: unknown) => {
          const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
          this.w.failure ??= error instanceof Violation ? error : new Violation('client', text)
        },
      )
    })
  }

  async #begin(body: (s: Script) => Promise<void>): Promise<void> {
    await this.until(() => this.running(1))
    await this.sleep(300)
    await body(this)
  }

  sleep(ms: number): Promise<void> {
    return this.#host.sleep(ms)
  }

  /** Looks every half millisecond, at most `withinMs`; answers whether it came true. */
  async until(condition: () => boolean, withinMs = Infinity): Promise<boolean> {
    for (let waited = 0; !condition(); waited += 0.5) {
      if (waited >= withinMs) return false
      await this.sleep(0.5)
    }
    return true
  }

  /** Epoch `epoch` or a later one runs: chosen, activated at its members, its primary proposes. */
  running(epoch: Epoch): boolean {
    const chosen = this.c.oracle.registers.newest
    if (chosen === undefined || chosen.epoch < epoch || this.c.primary === undefined) return false
    return this.members.every((r) => r.view?.activated === true && r.view.meta.epoch === chosen.epoch)
  }

  /** Members of the chosen epoch, primary first. */
  get members(): ReplicaHost[] {
    return (this.c.oracle.registers.newest?.members ?? []).map((id) => this.replica(id))
  }
  replica(id: NodeId): ReplicaHost {
    return this.c.replicas.find((r) => r.id === id)!
  }
  get leader(): ConfigHost {
    return this.c.leader!
  }

  /** Loses every server-to-server message that `isLost` says, until everything heals or the returned function is called. */
  lose(isLost: Sent): () => void {
    this.#lost.push(isLost)
    return () => {
      const at = this.#lost.indexOf(isLost)
      if (at >= 0) this.#lost.splice(at, 1)
    }
  }
  /** Messages of these kinds are lost, whoever sends them. */
  loseKinds(...kinds: Message['kind'][]): () => void {
    return this.lose((_from, _to, message) => kinds.includes(message.kind))
  }
  /** Sees every message as it is sent, lost or not. */
  hear(listen: (from: NodeId, to: NodeId, message: Message) => void): () => void {
    this.#heard.push(listen)
    return () => this.#heard.splice(this.#heard.indexOf(listen), 1)
  }

  /** Cuts `id` off from `others`, both ways. */
  cut(id: NodeId, others: readonly NodeId[]): void {
    for (const other of others) {
      if (other === id) continue
      this.c.network.block(id, other)
      this.c.network.block(other, id)
    }
  }
  join(id: NodeId, others: readonly NodeId[]): void {
    for (const other of others) {
      this.c.network.unblock(id, other)
      this.c.network.unblock(other, id)
    }
  }

  /** Crashes hosts that come back only when everything heals, or when the story starts them. */
  crash(...hosts: readonly { crash(): void }[]): void {
    for (const host of hosts) host.crash()
  }

  /**
   * Another config server is elected at once, while the leader still leads: one that hears nothing of it stands, and the third, whose
   * vote it needs, has just been restarted and knows of no leader. `atOnce` runs in the moment before it is elected.
   */
  async coup(atOnce: (newLeader: ConfigHost) => void): Promise<ConfigHost> {
    const old = this.leader
    const [rival, voter] = this.c.configs.filter((h) => h !== old) as [ConfigHost, ConfigHost]
    this.c.network.block(old.id, rival.id)
    let stood = false
    const deaf = this.hear((from, to, message) => {
      if (stood || message.kind !== 'preVote' || from !== rival.id || to !== voter.id) return
      stood = true
      voter.crash()
      voter.start()
      this.c.network.block(old.id, voter.id)
      this.c.network.block(voter.id, old.id)
      atOnce(rival)
    })
    await this.until(() => rival.view?.isLeader === true)
    deaf()
    return rival
  }

  /** A client with a clerk of its own. */
  client(name: string): Scripted {
    const { host, clerk } = this.w.connect(name)
    return new Scripted(this, host, clerk, new Calls(clerk, name, this.w.history, this.c.bytes))
  }

  /** Asks one replica, whatever it is, and records what it says in the history. */
  reader(replica: ReplicaHost): Reader {
    return new Reader(this.c, this.w, replica)
  }

  /** A value that no other write has. */
  fresh(): string {
    return `<s${++this.#values}>`
  }
}

export class Scripted {
  readonly host: ClientHost
  readonly clerk: Clerk
  readonly calls: Calls
  readonly #script: Script

  constructor(script: Script, host: ClientHost, clerk: Clerk, calls: Calls) {
    this.#script = script
    this.host = host
    this.clerk = clerk
    this.calls = calls
  }

  put(key: string, timeoutMs = 10_000): Promise<Ending> {
    const value = this.#script.fresh()
    return this.calls.put(key, value, value, timeoutMs)
  }

  /** Puts that must succeed, one after the other. */
  async puts(key: string, count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const ending = await this.put(key)
      check(ending === 'ok', 'I10', () => `a put of the story ends with ${ending}`)
    }
  }
}

export class Reader {
  readonly #c: Cluster
  readonly #w: Workload
  readonly #name: string
  readonly #link: Link
  readonly #host: ClientHost
  #reads = 0

  constructor(c: Cluster, w: Workload, replica: ReplicaHost) {
    this.#c = c
    this.#w = w
    this.#name = `reader-of-${replica.id}`
    this.#host = c.newClient(this.#name)
    this.#link = this.#host.dial(replica.address)
  }

  /** The value, null for none; undefined: no answer, or a refusal. */
  read(key: string, withinMs: number): Promise<string | null | undefined> {
    const { bytes } = this.#c
    const name = new Uint8Array(key.length)
    bytes.writeLatin1(name, key, 0)
    const query = encodeGet(name)
    const buffer = new Uint8Array(4 + query.length)
    writeU32(buffer, 0, query.length)
    buffer.set(query, 4)
    const call = this.#w.history.begin(this.#name, 'read', key, undefined)
    const firstReadId = ++this.#reads
    return new Promise((resolve) => {
      const cancel = this.#host.clock.after(withinMs, () => resolve(undefined))
      this.#link.onMessage = (message) => {
        if (message.kind !== 'readReplies' && message.kind !== 'refused') return
        if (message.kind === 'refused' ? message.firstId !== firstReadId : message.firstReadId !== firstReadId) return
        cancel()
        if (message.kind === 'refused') return resolve(undefined)
        const { replies } = message
        const length = readU32(replies.buffer, replies.start + 4)
        const found = decodeGetReply(replies.buffer.slice(replies.start + 8, replies.start + 8 + length))
        const value = found === undefined ? null : bytes.latin1(found.value, 0, found.value.length)
        this.#w.history.end(call, 'ok', value, found === undefined ? undefined : { version: found.version, value })
        resolve(value)
      }
      this.#link.send({
        kind: 'reads',
        firstReadId,
        minEpoch: 0,
        minIndex: 0,
        stale: false,
        count: 1,
        ops: { buffer, start: 0, end: buffer.length },
      })
    })
  }
}
