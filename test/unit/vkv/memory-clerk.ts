// Clients of vKV over a machine in memory, in virtual time: every call is delayed at random on its way there and back, so one seed is one
// interleaving. A crashed client hears nothing any more, while what it has sent may still arrive.
import { CoppiceError, type Change, type ClerkId, type Clock, type Random } from '@coppice/protocol'
import type {
  CallOptions,
  ReadAnswer,
  ReadOptions,
  Resolution,
  WatchFilter,
  WatchHandle,
  WatchHandler,
} from '@coppice/clerk/core'
import type { ClosableClerk, KvPorts } from '@coppice/vkv/core'
import { nodeText } from '@coppice/runtime'
import { DrivenMachine } from './machine-help.js'

export function seeded(seed: number): Random {
  let state = (seed + 1) * 0x9e3779b9
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

interface Timer {
  readonly at: number
  readonly order: number
  run: (() => void) | undefined
}

/** Virtual time: `run` lets it pass until a promise has settled. */
export class World {
  readonly driven = new DrivenMachine()
  readonly random: Random
  readonly ports: KvPorts = { text: nodeText }
  now = 0
  #order = 0
  #timers: Timer[] = []

  constructor(seed: number) {
    this.random = seeded(seed)
  }

  after(delayMs: number, run: () => void): () => void {
    const timer: Timer = { at: this.now + delayMs, order: this.#order++, run }
    this.#timers.push(timer)
    return () => (timer.run = undefined)
  }

  /** Lets time pass until the promise settles; a promise that nothing can settle any more is an error. */
  async run<T>(promise: Promise<T>): Promise<T> {
    let settled = false
    const done = (): void => void (settled = true)
    promise.then(done, done)
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve))
      if (settled) return promise
      if (!this.#next()) throw new Error('nothing is left that could settle this')
    }
  }

  /** Lets so much time pass. */
  async pass(ms: number): Promise<void> {
    await this.run(new Promise<void>((resolve) => void this.after(ms, resolve)))
  }

  #next(): boolean {
    this.#timers = this.#timers.filter((timer) => timer.run !== undefined)
    let next: Timer | undefined
    for (const t of this.#timers) {
      if (next === undefined || t.at < next.at || (t.at === next.at && t.order < next.order)) next = t
    }
    // What ends by time ends before anything later happens.
    const { dueAt } = this.driven.machine
    if (dueAt <= (next?.at ?? Infinity) && dueAt < Infinity) {
      this.now = Math.max(this.now, dueAt)
      this.driven.passTo(this.now)
      return true
    }
    if (next?.run === undefined) return false
    const run = next.run
    next.run = undefined
    this.now = Math.max(this.now, next.at)
    // The primary logs a tick when something ends by time.
    if (this.driven.machine.dueAt <= this.now) {
      this.driven.now = this.now
      this.driven.tick()
    }
    run()
    return true
  }

  client(): MemoryClerk {
    return new MemoryClerk(this)
  }
}

export class MemoryClerk implements ClosableClerk {
  readonly clock: Clock
  readonly random: Random
  readonly timeoutMs: number = 60_000
  readonly clerkId: ClerkId = 1
  readonly configuration = undefined
  /** Called with every operation before it is applied; an error is what the caller gets, after it was applied when it says so. */
  onSubmit: ((operation: Uint8Array) => CoppiceError | undefined) | undefined
  submitted = 0
  /** Longest delay of one way, ms. */
  delayMs = 20
  #crashed = false
  readonly #world: World

  constructor(world: World) {
    this.#world = world
    this.random = world.random
    this.clock = {
      now: () => world.now,
      after: (ms, run) => world.after(ms, () => this.#crashed || run()),
      endOfTurn: (run) => void world.after(0, run),
    }
  }

  /** From now on this client hears nothing and its timers are gone. */
  crash(): void {
    this.#crashed = true
  }

  now(): number {
    return this.#world.now
  }

  submit(operation: Uint8Array, options?: CallOptions): Promise<Uint8Array> {
    this.submitted++
    return this.#call(options, () => {
      this.#world.driven.passTo(this.#world.now)
      const error = this.onSubmit?.(operation)
      if (error !== undefined && error.outcome === 'not-applied') throw error
      const reply = this.#world.driven.apply(operation)
      if (error !== undefined) throw error
      return reply
    })
  }

  read(query: Uint8Array, options?: ReadOptions): Promise<Uint8Array> {
    return this.#call(options, () => {
      this.#world.driven.passTo(this.#world.now)
      return this.#world.driven.read(query).reply
    })
  }

  async readAnswer(query: Uint8Array, options?: ReadOptions): Promise<ReadAnswer> {
    return { bytes: await this.read(query, options), ageMs: 0, epoch: 1, minIndex: 0 }
  }

  resolve(): Promise<Resolution> {
    return Promise.resolve({ outcome: 'unknown' })
  }

  /** Watches that are open. */
  watches = 0

  readonly #ends = new Set<(error: CoppiceError) => void>()

  /** Every watch that is open ends with this. */
  endWatches(error: CoppiceError): void {
    for (const end of [...this.#ends]) end(error)
  }

  /** Tells of each change by itself, in order, a while after it was made; `from` the past is told at once. */
  watch(filter: WatchFilter, handler: WatchHandler): WatchHandle {
    const { driven } = this.#world
    const { stream, topic, exact } = filter
    let open = true
    let last = this.#world.now
    const tell = (run: () => void): void => {
      last = Math.max(last, this.#world.now + this.random() * this.delayMs)
      this.#world.after(last - this.#world.now, () => open && !this.#crashed && run())
    }
    const listen = (change: Change): void => {
      const length = exact ? change.topic.length : topic.length
      const isOf = change.stream === stream && Buffer.compare(change.topic.subarray(0, length), topic) === 0
      if (isOf) tell(() => handler.changes([change], change.index + 1))
    }
    this.watches++
    const end = (error: CoppiceError): void => {
      close()
      handler.end(error)
    }
    this.#ends.add(end)
    driven.listeners.add(listen)
    const from = filter.from ?? 0
    for (const change of driven.past) if (from > 0 && change.index >= from) listen(change)
    const next = driven.index + 1
    tell(() => handler.synced?.(next))
    const close = (): void => {
      if (open) this.watches--
      open = false
      this.#ends.delete(end)
      driven.listeners.delete(listen)
    }
    return { close, consumed: () => undefined }
  }

  close(): Promise<void> {
    this.crash()
    return Promise.resolve()
  }

  #call(options: CallOptions | undefined, work: () => Uint8Array): Promise<Uint8Array> {
    if (this.#crashed) return new Promise(() => undefined)
    const delay = (): number => this.random() * this.delayMs
    return new Promise((resolve, reject) => {
      const fail = (code: 'TIMEOUT' | 'ABORTED'): void =>
        reject(new CoppiceError(code, { code, outcome: 'unknown', cause: options?.signal?.reason }))
      if (options?.signal?.aborted === true) return fail('ABORTED')
      options?.signal?.addEventListener('abort', () => fail('ABORTED'), { once: true })
      const timeout = this.clock.after(options?.timeoutMs ?? this.timeoutMs, () => fail('TIMEOUT'))
      this.#world.after(delay(), () => {
        let answer: () => void
        try {
          const reply = work()
          answer = () => resolve(reply)
        } catch (error) {
          answer = () => reject(error as Error)
        }
        this.#world.after(delay(), () => {
          if (this.#crashed) return
          timeout()
          answer()
        })
      })
    })
  }
}
