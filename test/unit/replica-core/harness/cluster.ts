// Replica cores on fake disks and a fake network in virtual time, driven as the node driver drives them. The network is perfect
// unless `faults` say otherwise.
import type { ReplicaNode } from '@coppice/replica'
import type { Rebuilt, ReplicaEffect, ReplicaInput, ReplicaOptions } from '@coppice/replica'
import type { ClientToReplica, ReplicaToClient } from '@coppice/protocol'
import { randomFrom } from './bytes.js'
import { CounterMachine } from './counter-machine.js'
import { TestDisk } from './disk.js'

export interface Faults {
  lose: number
  duplicate: number
  /** Greatest delay of a message and of a disk write, ms. */
  delayMs: number
  diskMs: number
}

export class Server {
  readonly id: string
  readonly disk: TestDisk
  machine = new CounterMachine()
  core: ReplicaNode | undefined
  incarnation = 0
  writing: { token: number; writes: Extract<ReplicaEffect, { kind: 'write' }>['writes'] }[] = []
  ticking = Infinity
  constructor(id: string) {
    this.id = id
    this.disk = new TestDisk(id)
  }
}

type Handler = (from: string, message: never) => void

export class Cluster {
  now = 0
  readonly random: () => number
  readonly faults: Faults = { lose: 0, duplicate: 0, delayMs: 1, diskMs: 0.2 }
  readonly servers = new Map<string, Server>()
  /** What servers say to config servers. */
  onConfig: Handler = () => {}
  /** What replicas say to clients, by connection. */
  onClient: (server: string, connection: number, message: ReplicaToClient) => void = () => {}
  readonly events: { at: number; id: string; name: string; fields: Readonly<Record<string, unknown>> }[] = []
  readonly sent: { to: string; from: string; message: { kind: string } }[] = []
  /** Pairs `a>b` whose messages are lost. */
  readonly cut = new Set<string>()
  snapshotEveryBytes = 1e9
  minLogBytesKept = 0
  changeLogBytes = 1_000_000
  #queue: { at: number; order: number; run: () => void }[] = []
  #order = 0

  constructor(ids: readonly string[], seed = 1) {
    this.random = randomFrom(seed)
    for (const id of ids) this.add(id)
  }

  /** A new server with a freshly formatted store. */
  add(id: string): void {
    this.servers.set(id, new Server(id))
    this.start(id)
  }

  after(delay: number, run: () => void): void {
    const item = { at: this.now + delay, order: this.#order++, run }
    let i = this.#queue.length
    while (i > 0 && this.#queue[i - 1]!.at > item.at) i--
    this.#queue.splice(i, 0, item)
  }

  /** Runs until `done`, or for `forMs`; answers whether it was done. */
  run(forMs: number, done: () => boolean = () => false): boolean {
    const until = this.now + forMs
    while (!done()) {
      const next = this.#queue[0]
      if (next === undefined || next.at > until) {
        this.now = until
        return done()
      }
      this.#queue.shift()
      this.now = Math.max(this.now, next.at)
      next.run()
    }
    return true
  }

  server(id: string): Server {
    return this.servers.get(id)!
  }
  view(id: string) {
    return this.server(id).core!.view
  }

  start(id: string, rebuilt?: Rebuilt): void {
    const server = this.server(id)
    server.incarnation++
    server.machine = (rebuilt?.machine as CounterMachine | undefined) ?? new CounterMachine()
    const options: ReplicaOptions = {
      id,
      address: `${id}:1`,
      configServers: [{ id: 'c1', address: 'c1:1' }],
      pid: 1,
      startedAt: 0,
      version: 'test',
      seed: Math.floor(this.random() * 2 ** 32),
      snapshotEveryBytes: this.snapshotEveryBytes,
      minLogBytesKept: this.minLogBytesKept,
      changeLogBytes: this.changeLogBytes,
    }
    server.core = server.disk.load(options, rebuilt ?? server.machine, this.now)
    server.writing = []
    this.#arm(server)
  }

  crash(id: string): void {
    const server = this.server(id)
    server.core = undefined
    server.incarnation++
    // A prefix of what was under way may have reached the disk.
    const reached = Math.floor(this.random() * (server.writing.length + 1))
    for (const w of server.writing.slice(0, reached)) server.disk.apply(w.writes)
    server.writing = []
  }

  client(id: string, connection: number, message: ClientToReplica): void {
    this.after(this.#delay(), () => this.input(id, { kind: 'client', connection, message }))
  }

  send(from: string, to: string, message: { kind: string }): void {
    this.sent.push({ from, to, message })
    const copies = this.random() < this.faults.duplicate ? 2 : 1
    for (let i = 0; i < copies; i++) {
      if (this.cut.has(`${from}>${to}`) || this.random() < this.faults.lose) continue
      this.after(this.#delay(), () => {
        if (!this.servers.has(to)) return this.onConfig(from, message as never)
        const sender = { id: from, storeId: `store-${from}` }
        this.input(to, { kind: 'message', from: sender, message: message as never })
      })
    }
  }

  input(id: string, input: ReplicaInput): void {
    const server = this.server(id)
    const core = server.core
    if (core === undefined) return
    this.#execute(server, core.step(this.now, input))
    this.#arm(server)
  }

  #delay(): number {
    return this.random() * this.faults.delayMs
  }

  #execute(server: Server, effects: readonly ReplicaEffect[]): void {
    const { incarnation, id } = server
    for (const e of effects) {
      switch (e.kind) {
        case 'send':
          if (e.message.kind === 'appendAck' && e.message.durableIndex > server.disk.end) {
            throw new Error(`${id} acknowledged ${e.message.durableIndex}, its disk ends at ${server.disk.end} (R2)`)
          }
          this.send(id, e.to, e.message)
          break
        case 'reply': {
          const { connection, message } = e
          if (
            (message.kind === 'replies' || message.kind === 'readReplies') &&
            message.minIndex > this.view(id).commitIndex
          ) {
            throw new Error(
              `${id} exposed what is below ${message.minIndex}, committed is ${this.view(id).commitIndex} (I7)`,
            )
          }
          this.after(this.faults.delayMs, () => this.onClient(id, connection, message)) // in order
          break
        }
        case 'write':
          server.writing.push({ token: e.token, writes: e.writes })
          if (server.writing.length === 1) this.#disk(server)
          break
        case 'readLog': {
          const { token, from, to, maxBytes } = e
          this.after(this.faults.diskMs, () => {
            if (server.incarnation !== incarnation) return
            const { next, records } = server.disk.read(from, to, maxBytes)
            this.input(id, { kind: 'logRead', token, from, next, records })
          })
          break
        }
        case 'readSnapshot': {
          const { token, snapshotId, chunk } = e
          this.after(this.faults.diskMs, () => {
            if (server.incarnation !== incarnation) return
            const s = server.disk.snapshot
            const found = s !== undefined && (snapshotId === '' || s.header.snapshotId === snapshotId) ? s : undefined
            this.input(id, { kind: 'snapshotRead', token, header: found?.header, chunk, bytes: found?.chunks[chunk] })
          })
          break
        }
        case 'event':
          this.events.push({ at: this.now, id, name: e.name, fields: e.fields })
          break
        case 'reload':
          this.start(id, e.rebuilt)
          return
        case 'halt':
          throw new Error(e.reason)
        case 'address':
          break
      }
    }
  }

  #disk(server: Server): void {
    const { incarnation } = server
    this.after(this.random() * this.faults.diskMs, () => {
      if (server.incarnation !== incarnation) return
      const w = server.writing.shift()!
      server.disk.apply(w.writes)
      if (server.writing.length > 0) this.#disk(server)
      this.input(server.id, { kind: 'written', token: w.token })
    })
  }

  /** Schedules what the core asks for: a tick, the end of the turn, idle time. */
  #arm(server: Server): void {
    const core = server.core
    if (core === undefined) return
    const { incarnation } = server
    if (core.wantsFlush || core.wantsCapture || core.wantsApply) {
      this.after(0, () => {
        if (server.incarnation !== incarnation) return
        if (core.wantsFlush) this.input(server.id, { kind: 'flush' })
        if (server.core === core && core.wantsApply && this.random() < 0.7) this.input(server.id, { kind: 'apply' })
        // Not given now: in a moment.
        if (server.core === core && core.wantsApply) this.after(0.2, () => this.#arm(server))
        if (server.core === core && core.wantsCapture && this.random() < 0.5) this.input(server.id, { kind: 'capture' })
      })
    }
    const at = Math.max(core.wakeAt, this.now)
    if (at === Infinity || at === server.ticking) return
    server.ticking = at
    this.after(at - this.now, () => {
      if (server.ticking === at) server.ticking = Infinity
      if (server.incarnation === incarnation && server.core!.wakeAt <= this.now) this.input(server.id, { kind: 'tick' })
      else if (server.core !== undefined) this.#arm(server)
    })
  }
}
