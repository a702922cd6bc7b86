// The config service as the replicas see it: one leader that reserves, seals, enters, relinquishes, activates and grants leases as
// PROTOCOL 2 and 3 say. It can be told to stop at any step; the next attempt then takes another number.
import { DEFAULT_PARAMS } from '@coppice/protocol'
import type { Configuration, ConfigToReplica, Lineage, ReplicaToConfig } from '@coppice/protocol'
import type { Cluster } from './cluster.js'

type SealReply = Extract<ReplicaToConfig, { kind: 'sealReply' }>

export class Controller {
  configuration: Configuration
  reserved = 0
  leases = true
  /** While attempting: nothing of the old epoch is granted any more. */
  relinquishing = false
  attempting = false
  readonly grantedAt = new Map<string, number>()
  readonly how = new Map<string, string>()
  #reports = new Map<string, { epoch: number; durable: number; commit: number }>()
  #seals = new Map<string, SealReply>()
  #entered = new Map<string, string>()
  #relinquished = new Set<string>()
  #failed = ''
  readonly #c: Cluster

  constructor(cluster: Cluster, params = DEFAULT_PARAMS) {
    this.#c = cluster
    this.configuration = {
      clusterId: 'test',
      group: 'main',
      version: 1,
      epoch: 0,
      members: [],
      start: 0,
      checkpointId: '',
      servers: [...cluster.servers.keys()].map((id) => this.entry(id)),
      configServers: [{ id: 'c1', storeId: 'store-c1', address: 'c1:1' }],
      params,
    }
    cluster.onConfig = (from, message) => this.#on(from, message as ReplicaToConfig)
  }

  entry(id: string) {
    return { id, storeId: `store-${id}`, address: `${id}:1` }
  }

  send(to: string, message: ConfigToReplica): void {
    this.#c.send('c1', to, message)
  }

  #on(from: string, m: ReplicaToConfig): void {
    if (m.kind === 'report') {
      this.#reports.set(from, { epoch: m.epoch, durable: m.durableIndex, commit: m.commitIndex })
      const { configuration } = this
      const grants =
        this.leases && m.nonce !== '' && m.epoch === configuration.epoch && configuration.members.includes(from)
      if (grants && !this.relinquishing) {
        this.grantedAt.set(from, this.#c.now)
        this.send(from, { kind: 'grant', group: 'main', epoch: m.epoch, nonce: m.nonce, configuration })
      } else {
        this.send(from, { kind: 'answer', group: 'main', nonce: m.nonce, reason: '', leader: 'c1', configuration })
      }
    } else if (m.kind === 'sealReply' && m.epoch === this.reserved) {
      if (m.ok) this.#seals.set(from, m)
    } else if (m.kind === 'enterReply' && m.epoch === this.reserved) {
      if (m.ok) {
        this.#entered.set(from, m.nonce)
        this.how.set(from, m.how)
      } else if (!m.busy) this.#failed = m.reason
    } else if (m.kind === 'relinquished' && m.epoch === this.reserved) {
      this.#relinquished.add(from)
    }
  }

  /** Repeats `ask` until `done` or `forMs` passed. */
  #until(forMs: number, ask: () => void, done: () => boolean, then: (ok: boolean) => void): void {
    const deadline = this.#c.now + forMs
    const again = (): void => {
      if (done()) return then(true)
      if (this.#c.now >= deadline) return then(false)
      ask()
      this.#c.after(10, again)
    }
    again()
  }

  /** One attempt: an epoch with these members. `stopAfter`: the controller dies there. Answers through `then`. */
  attempt(
    members: readonly string[],
    then: (ok: boolean, why: string) => void,
    stopAfter: '' | 'seal' | 'someEntered' | 'relinquish' = '',
    forMs = 2_000,
  ): void {
    const r = ++this.reserved
    const prev = this.configuration.epoch
    const old = this.configuration.members
    this.attempting = true
    this.#seals = new Map()
    this.#entered = new Map()
    this.#relinquished = new Set()
    this.#failed = ''
    const end = (ok: boolean, why: string): void => {
      this.attempting = false
      then(ok, why)
    }
    const activate = (lineage: Lineage, start: number, checkpointId: string): void => {
      const c = this.configuration
      const next = { ...c, version: c.version + 1, epoch: r, members: [...members], start, checkpointId }
      void lineage
      this.configuration = next
      this.relinquishing = false
      for (const id of members) {
        const nonce = this.#entered.get(id)!
        if (!this.leases || nonce === '') this.send(id, { kind: 'activate', group: 'main', configuration: next })
        else {
          this.grantedAt.set(id, this.#c.now)
          this.send(id, { kind: 'grant', group: 'main', epoch: r, nonce, configuration: next })
        }
      }
      end(true, '')
    }
    const relinquish = (lineage: Lineage, start: number, checkpointId: string): void => {
      this.relinquishing = true
      const left = old.filter((id) => !members.includes(id))
      const waits = (id: string): boolean => {
        const granted = this.grantedAt.get(id) ?? -Infinity
        return !this.#relinquished.has(id) && this.#c.now < granted + this.configuration.params.leaseMs
      }
      const ask = (): void => {
        for (const id of left) this.send(id, { kind: 'relinquish', group: 'main', epoch: r })
      }
      this.#until(
        forMs,
        ask,
        () => !left.some(waits),
        (ok) => {
          if (!ok || stopAfter === 'relinquish') return end(false, 'relinquish')
          activate(lineage, start, checkpointId)
        },
      )
    }
    const enter = (): void => {
      const seals = [...this.#seals]
      const best = seals.reduce((a, b) => (newer(b[1], a[1]) ? b : a), seals[0]!)
      const start = prev === 0 ? 1 : best[1].nextIndex
      const lineage = prev === 0 ? [] : best[1].lineage
      const sources = prev === 0 ? [] : [best].map(([id, s]) => ({ server: this.entry(id), base: s.base }))
      const checkpointId = `k${r}.${start}`
      const message = {
        kind: 'enter',
        group: 'main',
        epoch: r,
        prev,
        checkpointId,
        start,
        lineage,
        digest: 'counter-1',
        sources,
        members: members.map((id) => this.entry(id)),
        params: this.configuration.params,
      } as const
      const ask = (): void => {
        for (const id of members) if (!this.#entered.has(id)) this.send(id, message)
      }
      const done = (): boolean =>
        this.#failed !== '' ||
        (stopAfter === 'someEntered' ? this.#entered.size > 0 : members.every((id) => this.#entered.has(id)))
      this.#until(forMs, ask, done, (ok) => {
        if (!ok || this.#failed !== '' || stopAfter === 'someEntered') return end(false, `enter ${this.#failed}`)
        relinquish(lineage, start, checkpointId)
      })
    }
    if (prev === 0) return enter()
    const ask = (): void => {
      for (const id of old) if (!this.#seals.has(id)) this.send(id, { kind: 'seal', group: 'main', epoch: r, prev })
    }
    // One answer is enough; the others get a moment.
    const deadline = this.#c.now + 60
    const done = (): boolean => this.#seals.size === old.length || (this.#seals.size > 0 && this.#c.now >= deadline)
    this.#until(forMs, ask, done, (ok) => {
      if (!ok || stopAfter === 'seal') return end(false, 'seal')
      enter()
    })
  }
}

function newer(a: SealReply, b: SealReply): boolean {
  const ea = a.lineage[a.lineage.length - 1]![0]
  const eb = b.lineage[b.lineage.length - 1]![0]
  return ea !== eb ? ea > eb : a.nextIndex > b.nextIndex
}
