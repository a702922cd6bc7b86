// Runs the production ReplicaNode over KvMachine on a simulated machine: recovery through ReplicaLoader, disk, reloads, health.
import type { BytesPort, Message, NodeId } from '@coppice/protocol'
import { ReplicaLoader } from '@coppice/replica'
import type { Rebuilt, ReplicaEffect, ReplicaNode, ReplicaOptions, ReplicaView } from '@coppice/replica'
import type { NodeClock } from '../kernel/clock.js'
import { check } from '../kernel/violation.js'
import type { Oracle } from '../oracle/oracle.js'
import { Host } from './host.js'
import type { Surroundings } from './host.js'
import { ReplicaDisk } from './replica-disk.js'
import { ReplicaStore } from './replica-store.js'
import { WitnessedMachine } from './witnessed-machine.js'

const GROUP = 'main'

export class ReplicaHost extends Host {
  readonly role = 'replica'
  store: ReplicaStore
  disk: ReplicaDisk
  /** Counts cores: a reload makes a new one, as a restart does. */
  generation = 0
  readonly #options: Omit<ReplicaOptions, 'seed'>
  readonly #oracle: Oracle
  readonly #bytes: BytesPort
  readonly #diskMs: number
  /** Set while it is leaving. */
  onLeft: (() => void) | undefined
  #node: ReplicaNode | undefined
  #stores = 0

  constructor(
    options: Omit<ReplicaOptions, 'seed'>,
    clock: NodeClock,
    diskMs: number,
    bytes: BytesPort,
    oracle: Oracle,
    around: Surroundings,
  ) {
    super(
      options.id,
      clock,
      options.configServers.map((s) => s.id),
      around,
    )
    this.#options = options
    this.#oracle = oracle
    this.#bytes = bytes
    this.#diskMs = diskMs
    this.store = this.#format()
    this.disk = this.#newDisk()
  }

  get storeId(): string {
    return this.store.meta.storeId
  }
  get view(): ReplicaView | undefined {
    return this.alive ? this.#node?.view : undefined
  }

  /** SIGTERM: it asks the group to go on without it and ends when that is so, or after `withinMs`. */
  leave(withinMs: number): void {
    if (!this.alive || this.paused) return
    const { incarnation } = this
    const end = (): void => {
      if (this.incarnation === incarnation) this.crash('orderly end')
    }
    this.onLeft = () => {
      this.onLeft = undefined
      this.around.kernel.after(0, end)
    }
    this.around.kernel.after(withinMs, end)
    this.input({ kind: 'leave' })
  }

  /** The machine's disk is lost for ever; it comes back under its old name with an empty store. */
  wipe(): void {
    this.crash('crash, disk lost')
    this.store.destroyed = true
    this.store = this.#format()
    this.disk = this.#newDisk()
  }

  #format(): ReplicaStore {
    const storeId = `${this.id}-store${++this.#stores}`
    const store = new ReplicaStore(this.id, GROUP, storeId, (s, write) => this.#oracle.durable(s, write))
    this.#oracle.stores.set(storeId, store)
    return store
  }

  #newDisk(): ReplicaDisk {
    const { store } = this
    return new ReplicaDisk(this.around.kernel, this.around.random.fork(), this.#diskMs, (write) => store.apply(write))
  }

  protected override load(): void {
    this.#load(undefined)
  }

  #load(rebuilt: Rebuilt | undefined): void {
    const { store } = this
    const options: ReplicaOptions = { ...this.#options, seed: this.around.random.int(0x7fff_ffff) }
    this.generation++
    this.guarded(() => {
      const fromDisk = this.#recovered(options, new WitnessedMachine(this.#bytes, this.#oracle))
      this.#node = rebuilt === undefined ? fromDisk : this.#recovered(options, rebuilt)
      if (rebuilt === undefined) return
      // What it keeps in memory is what a restart would read.
      const { stateHash } = this.#node.view
      check(
        stateHash() === fromDisk.view.stateHash(),
        'disk',
        () => `${this.id} rebuilt another state than its disk holds`,
      )
      check(
        store.snapshot?.snapshotId === rebuilt.header.snapshotId,
        'disk',
        () => `${this.id} rebuilt another snapshot`,
      )
    })
    this.core = this.#node as never
    if (this.onLeft !== undefined) this.around.kernel.after(0, () => this.input({ kind: 'leave' }))
    this.#oracle.loaded(this)
    this.installed()
  }

  #recovered(options: ReplicaOptions, state: WitnessedMachine | Rebuilt): ReplicaNode {
    const { store } = this
    const loader = new ReplicaLoader(options, store.meta, state, this.#bytes)
    const header = store.snapshot
    if (header !== undefined && !('header' in state)) {
      const chunks = store.chunksBySnapshot.get(header.snapshotId)!
      for (let i = 0; i < header.chunks; i++) loader.addSnapshotChunk(header, i, chunks[i]!)
    }
    for (const record of store.records) loader.addRecord(record.bytes)
    return loader.finish(this.clock.now(), store.unfinished)
  }

  protected override lose(): void {
    this.onLeft = undefined
    this.disk.crash()
    this.disk.hanging = false
    this.#node = undefined
  }

  protected override tellSlept(_now: number, sleptMs: number): void {
    this.input({ kind: 'health', wallMs: this.clock.wall(), sleptMs, freeDiskBytes: FREE_BYTES })
  }
  protected override tellHealth(): void {
    this.input({ kind: 'health', wallMs: this.clock.wall(), sleptMs: 0, freeDiskBytes: FREE_BYTES })
  }

  protected override sending(to: NodeId, message: Message): void {
    this.#oracle.sentByReplica(this, to, message)
  }
  protected override replying(message: Message): void {
    this.#oracle.replied(this, message)
  }
  protected override observed(): void {
    this.#oracle.stepped(this)
  }

  protected override other(effect: { readonly kind: string }): void {
    const own = effect as ReplicaEffect
    switch (own.kind) {
      case 'write':
        for (const write of own.writes) if (write.kind === 'record') this.#oracle.proposed(this, write)
        this.#later(
          (done) => this.disk.write(own.writes, done),
          () => this.input({ kind: 'written', token: own.token }),
        )
        return
      case 'readLog':
        // Sees every write queued before it.
        this.#whenDrained(() => {
          const { next, records } = this.store.read(own.from, own.to, own.maxBytes)
          this.input({ kind: 'logRead', token: own.token, from: own.from, next, records })
        })
        return
      case 'readSnapshot':
        this.#whenDrained(() => this.#readSnapshot(own.token, own.snapshotId, own.chunk))
        return
      case 'left':
        this.onLeft?.()
        return
      case 'reload':
        this.note('reload')
        this.core = undefined
        this.#node = undefined
        // The new core starts on a disk that has done all the old one asked for; what arrives meanwhile is lost.
        this.#generationOnly(() => this.#load(own.rebuilt))
        return
      default:
        throw new Error(`unknown effect ${own.kind}`)
    }
  }

  #readSnapshot(token: number, snapshotId: string, chunk: number): void {
    const { store } = this
    const id = snapshotId === '' ? store.snapshot?.snapshotId : snapshotId
    const header = id !== undefined && store.snapshot?.snapshotId === id ? store.snapshot : undefined
    const bytes = header === undefined ? undefined : store.chunksBySnapshot.get(header.snapshotId)?.[chunk]
    this.input({ kind: 'snapshotRead', token, header, chunk, bytes: bytes?.slice() })
  }

  /** Completions belong to the core that asked. */
  #later(begin: (done: () => void) => void, done: () => void): void {
    const { incarnation, generation } = this
    begin(() => {
      if (this.incarnation !== incarnation) return
      this.post(() => {
        if (this.generation === generation) done()
      })
    })
  }
  #whenDrained(done: () => void): void {
    this.#later((drained) => this.disk.drained(drained), done)
  }
  #generationOnly(done: () => void): void {
    this.generation++
    this.#whenDrained(done)
  }
}

const FREE_BYTES = 100 * 1024 * 1024 * 1024
