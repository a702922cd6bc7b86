// The clients of a run: several processes with a clerk each, doing reads, writes, comparisons and counter increments on few keys, in
// single calls and in bursts, with short and long timeouts; they crash and pause, and come back as new processes.
import { Clerk } from '@coppice/clerk/core'
import { CoppiceError } from '@coppice/protocol'
import type { Cluster } from '../cluster.js'
import type { ClientHost } from '../hosts/client-host.js'
import type { Prng } from '../kernel/prng.js'
import { check, Violation } from '../kernel/violation.js'
import { ZONES } from '../zones.js'
import { BankClients } from './bank-clients.js'
import { CacheClients } from './cache-clients.js'
import { Calls } from './calls.js'
import { EndingClients } from './ending-clients.js'
import { History } from './history.js'
import { LockClients } from './lock-clients.js'
import { TxnClients } from './txn-clients.js'
import { Verifiers } from './verifiers.js'
import { WatchClients } from './watch-clients.js'

interface Client {
  readonly host: ClientHost
  readonly clerk: Clerk
  readonly calls: Calls
  readonly random: Prng
  /** Where it stands; undefined: the run has no zones. */
  readonly zone: string | undefined
}

/** Clients of a zone that is not busy pause so many times longer. */
const QUIET_FACTOR = 12

/**
 * The clients of a run, as stories see them.
 * @internal
 */
export class Workload {
  readonly history = new History()
  readonly bank: BankClients
  readonly locks: LockClients
  readonly caches: CacheClients
  readonly txns: TxnClients
  readonly watches: WatchClients
  readonly endings: EndingClients
  readonly verifiers: Verifiers
  readonly cluster: Cluster
  #clients: Client[] = []
  stopping = false
  /** The zone that most load comes from; undefined: all are alike. */
  busyZone: string | undefined
  #seq = 0
  #names = 0
  readonly #tasks = new Set<ClientHost>()
  /** The first failure of client code that is not a CoppiceError. */
  failure: unknown
  readonly outcomes = new Map<string, number>()
  /** Told of every acknowledged write. */
  onWritten: (() => void) | undefined
  /** Per counter key: increments acknowledged, and those nobody can tell. */
  readonly #counters = new Map<string, { acked: number; unknown: number }>()

  constructor(cluster: Cluster) {
    this.cluster = cluster
    this.bank = new BankClients(this)
    this.locks = new LockClients(this)
    this.caches = new CacheClients(this)
    this.txns = new TxnClients(this)
    this.watches = new WatchClients(this)
    this.endings = new EndingClients(this)
    this.verifiers = new Verifiers(this)
  }

  start(): void {
    const { plan } = this.cluster
    for (let i = 0; i < plan.clients; i++) this.#spawn()
    if (plan.bank) this.bank.start()
    if (plan.locks) this.locks.start()
    if (plan.cache) this.caches.start()
    if (plan.txns) this.txns.start()
    if (plan.watchers) this.watches.start()
    if (plan.endings) this.endings.start()
    if (plan.verifier) this.verifiers.start()
  }

  /** Clients finish what they have begun and begin nothing more. */
  stop(): void {
    this.stopping = true
  }

  crashSomeClient(): void {
    if (this.stopping) return
    const at = this.cluster.random.int(this.#clients.length)
    const client = this.#clients[at]
    if (client === undefined) return
    this.kill(client.host)
    this.#clients.splice(at, 1)
    this.cluster.kernel.after(this.cluster.random.between(10, 500), () => {
      if (!this.stopping) this.#spawn()
    })
  }

  pauseSomeClient(ms: number): void {
    const client = this.#clients[this.cluster.random.int(this.#clients.length)]
    client?.host.pause(ms)
  }

  /** A client process dies; its work is over. */
  kill(host: ClientHost): void {
    host.crash()
    this.#tasks.delete(host)
  }

  /** Clients whose work has not ended. */
  get running(): number {
    return this.#tasks.size
  }

  /** Runs `body` as the work of a client; its exception ends the run. */
  task(host: ClientHost, body: () => Promise<void>): void {
    this.#tasks.add(host)
    host.run(() => {
      body().then(
        () => this.#tasks.delete(host),
        (error: unknown) => {
          this.failure ??= error instanceof Violation ? error : clientDefect(error)
        },
      )
    })
  }

  /** A clerk of its own process. */
  connect(name: string, zone?: string): { host: ClientHost; clerk: Clerk } {
    const host = this.cluster.newClient(name)
    const options = { configServers: this.cluster.configs.map((c) => c.address), timeoutMs: 10_000, zone }
    return { host, clerk: new Clerk(options, host.ports) }
  }

  #spawn(): void {
    const number = ++this.#names
    const name = `k${number}`
    const zone = this.cluster.plan.zoned ? ZONES[number % ZONES.length] : undefined
    const { host, clerk } = this.connect(name, zone)
    const calls = new Calls(clerk, name, this.history, this.cluster.bytes)
    const client: Client = { host, clerk, calls, random: host.random.fork(), zone }
    this.#clients.push(client)
    this.task(host, () => this.#loop(client))
  }

  async #loop(client: Client): Promise<void> {
    const { random, host } = client
    const { silences } = this.cluster.plan
    while (!this.stopping) {
      const quiet = client.zone !== undefined && this.busyZone !== undefined && client.zone !== this.busyZone
      const thinkMs = this.cluster.plan.thinkMs * (quiet ? QUIET_FACTOR : 1)
      if (random.chance(0.08)) {
        const burst = Array.from({ length: 2 + random.int(10) }, () => this.#one(client))
        await Promise.all(burst)
      } else await this.#one(client)
      await host.sleep(random.chance(silences) ? random.between(500, 5_000) : random.exponential(thinkMs))
    }
    await client.clerk.close()
  }

  async #one(client: Client): Promise<void> {
    const { random, calls } = client
    const { keys } = this.cluster.plan
    const timeoutMs = random.chance(0.15) ? random.between(20, 400) : 10_000
    const key = `r${random.int(keys)}`
    const dice = random.next()
    if (dice < 0.42) await calls.get(key, timeoutMs, random.chance(0.1) ? 'primary' : 'any')
    else if (dice < 0.7) this.#count('put', await calls.put(key, this.#fresh(client), this.#tag(), timeoutMs))
    else if (dice < 0.75) this.#count('delete', await calls.delete(key, timeoutMs))
    else if (dice < 0.85) await this.#replace(client, key, timeoutMs)
    else await this.#increment(client, `n${random.int(2)}`, timeoutMs)
  }

  #count(what: string, ending: string): void {
    if (ending === 'ok') this.onWritten?.()
    const name = `${what}:${ending}`
    this.outcomes.set(name, (this.outcomes.get(name) ?? 0) + 1)
  }

  /** A value with a mark that no other operation has; sometimes a large one, so that logs are cut and snapshots made. */
  #fresh(client: Client): string {
    const { random } = client
    const padding = random.chance(0.05) ? 'x'.repeat(random.int(1_500)) : ''
    return `${padding}<${++this.#seq}>`
  }
  #tag(): string {
    return `<${this.#seq}>`
  }

  async #replace(client: Client, key: string, timeoutMs: number): Promise<void> {
    const seen = await client.calls.get(key, timeoutMs)
    if (seen === undefined) return
    const next = this.#fresh(client)
    this.#count('condPut', await client.calls.condPut(key, seen.value, next, this.#tag(), timeoutMs))
  }

  async #increment(client: Client, key: string, timeoutMs: number): Promise<void> {
    const counter = this.#counters.get(key) ?? { acked: 0, unknown: 0 }
    this.#counters.set(key, counter)
    for (let attempt = 0; attempt < 5 && client.host.alive; attempt++) {
      const seen = await client.calls.get(key, timeoutMs)
      if (seen === undefined) return
      const next = `${Number.parseInt(seen.value ?? '0', 10) + 1}<${++this.#seq}>`
      counter.unknown++
      const ending = await client.calls.condPut(key, seen.value, next, this.#tag(), timeoutMs)
      this.#count('increment', ending)
      // A resolved `applied` says that the comparison was made, not that it held.
      if (ending !== 'unknown' && ending !== 'applied') counter.unknown--
      if (ending === 'ok') counter.acked++
      if (ending !== 'mismatch') return
    }
  }

  /** After everything healed: a new client writes and reads every key, which must work (I10), and counters are compared. */
  spawnProbe(): void {
    const { host, clerk } = this.connect('probe')
    this.task(host, () => this.#probe(clerk))
    const { plan, answerBoundMs } = this.cluster
    if (plan.bank) this.bank.finish(answerBoundMs)
    if (plan.locks) this.locks.finish(answerBoundMs)
    if (plan.txns) this.txns.finish()
    if (plan.endings) this.endings.finish(answerBoundMs)
  }

  async #probe(clerk: Clerk): Promise<void> {
    const calls = new Calls(clerk, 'probe', this.history, this.cluster.bytes)
    const bound = this.cluster.answerBoundMs
    for (const [key, counter] of this.#counters) {
      const seen = await calls.get(key, bound)
      check(seen !== undefined, 'I10', () => `after everything healed ${key} cannot be read within ${bound} ms`)
      const value = Number.parseInt(seen!.value ?? '0', 10)
      check(value >= counter.acked && value <= counter.acked + counter.unknown, 'I6', () => {
        return `counter ${key} is ${value}; ${counter.acked} increments were acknowledged, ${counter.unknown} are unknown`
      })
    }
    for (let i = 0; i < this.cluster.plan.keys; i++) {
      const value = `probe<${++this.#seq}>`
      const ending = await calls.put(`r${i}`, value, this.#tag(), bound)
      check(ending === 'ok', 'I10', () => `after everything healed a put ends with ${ending} within ${bound} ms`)
      const seen = await calls.get(`r${i}`, bound)
      check(
        seen?.value === value,
        'I10',
        () => `after everything healed r${i} reads ${seen?.value}, written was ${value}`,
      )
    }
    await clerk.close()
  }

  /** Every write against the ledger of what the committed log executed (exactly once). */
  checkLedger(): void {
    const executions = new Map<string, number>()
    for (const [operation, times] of this.cluster.oracle.ledger.executions) {
      const at = operation.lastIndexOf('<')
      if (at >= 0) executions.set(operation.slice(at), (executions.get(operation.slice(at)) ?? 0) + times)
    }
    this.txns.checkLedger(executions)
    for (const call of this.history.calls) {
      if (call.tag === '') continue
      const times = executions.get(call.tag) ?? 0
      const { outcome } = call
      const right = outcome === 'open' ? times <= 1 : times === (outcome === 'never' ? 0 : 1)
      check(
        right,
        'I6',
        () => `${call.process}: ${call.f} ${call.key} ${call.tag} ended ${outcome} and was executed ${times} times`,
      )
    }
  }
}

/** Only what runs after everything healed lets a failure of the store out; there it breaks I10. */
function clientDefect(error: unknown): Violation {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return error instanceof CoppiceError
    ? new Violation('I10', `after everything healed: ${error.message}`)
    : new Violation('client', text)
}
