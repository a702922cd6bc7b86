// One simulated server machine: process life (start, crash, pause), timers of the core, the turn's end, and the way in for messages.
// What the runtime's driver does with real clocks and sockets, this does with simulated ones.
import { InvariantError } from '@coppice/protocol'
import type { ConnectionId, Core, Message, NodeId, Sender } from '@coppice/protocol'
import { poison } from '../kernel/by-value.js'
import type { NodeClock } from '../kernel/clock.js'
import type { Kernel } from '../kernel/kernel.js'
import type { Link, LinkServer } from '../kernel/links.js'
import type { Network } from '../kernel/network.js'
import type { Prng } from '../kernel/prng.js'
import { brief } from '../kernel/trace.js'
import type { Trace } from '../kernel/trace.js'
import { Violation } from '../kernel/violation.js'

/** What every host is given. */
export interface Surroundings {
  readonly kernel: Kernel
  readonly network: Network
  readonly trace: Trace
  readonly random: Prng
  /** Borrowed bytes of data messages are overwritten after the step they were lent for. */
  readonly poison: boolean
  /** Events of cores, counted for coverage. */
  readonly onEvent: (node: NodeId, name: string, fields: Readonly<Record<string, unknown>>) => void
}

/** Effects all hosts execute alike. */
type CommonEffects =
  | { readonly kind: 'send'; readonly to: NodeId; readonly message: Message }
  | { readonly kind: 'reply'; readonly connection: ConnectionId; readonly message: Message }
  | { readonly kind: 'address'; readonly id: NodeId; readonly address: string }
  | { readonly kind: 'event'; readonly name: string; readonly fields: Readonly<Record<string, unknown>> }
  | { readonly kind: 'halt'; readonly reason: string }

interface DrivenCore extends Core<never, unknown> {
  readonly wantsFlush?: boolean
  readonly wantsCapture?: boolean
  readonly wantsApply?: boolean
}

export abstract class Host implements LinkServer {
  readonly id: NodeId
  readonly address: string
  abstract readonly role: 'config' | 'replica'
  abstract readonly storeId: string
  readonly clock: NodeClock
  readonly connections = new Map<ConnectionId, Link>()
  alive = false
  incarnation = 0
  /** True time until which the process gets nothing (SIGSTOP). */
  pausedUntil = 0
  /** Never started again by the nemesis' healing. */
  retired = false
  protected readonly around: Surroundings
  protected core: DrivenCore | undefined
  readonly #reachable = new Set<NodeId>()
  readonly #firstPeers: readonly NodeId[]
  #backlog: (() => void)[] = []
  #held: (() => void)[] = []
  #tickAt = Infinity
  #tickTimer = 0
  #turnEndSet = false
  #applySet = false

  constructor(id: NodeId, clock: NodeClock, firstPeers: readonly NodeId[], around: Surroundings) {
    this.id = id
    this.address = `${id}:7000`
    this.clock = clock
    this.#firstPeers = firstPeers
    this.around = around
  }

  get paused(): boolean {
    return this.around.kernel.now < this.pausedUntil
  }

  /** Starts the process on what its disk holds. */
  start(): void {
    if (this.alive) return
    this.alive = true
    this.incarnation++
    this.pausedUntil = 0
    this.#reachable.clear()
    for (const peer of this.#firstPeers) this.#reachable.add(peer)
    this.clock.restart(this.around.random.between(0, 1e6))
    this.note('start')
    this.load()
    this.armHealth()
  }

  /** kill -9, or the machine's power. */
  crash(why = 'crash'): void {
    if (!this.alive) return
    this.note(why)
    this.alive = false
    this.incarnation++
    this.core = undefined
    this.#backlog = []
    this.#held = []
    this.#tickAt = Infinity
    this.#turnEndSet = false
    this.#applySet = false
    this.lose()
    for (const link of [...this.connections.values()]) link.break('server died')
    this.connections.clear()
  }

  pause(ms: number): void {
    if (!this.alive || this.paused) return
    const { kernel } = this.around
    this.note(`pause ${ms.toFixed(0)} ms`)
    this.pausedUntil = kernel.now + ms
    const { incarnation } = this
    kernel.after(ms, () => {
      if (this.incarnation !== incarnation) return
      this.note('resume')
      this.guarded(() => this.tellSlept(this.clock.now(), ms))
      const waiting = this.#backlog
      this.#backlog = []
      for (const run of waiting) if (this.incarnation === incarnation) run()
    })
  }

  receive(from: Sender, message: Message): void {
    this.post(() => {
      this.#reachable.add(from.id)
      this.input({ kind: 'message', from, message })
    })
  }
  receiveClient(connection: ConnectionId, message: Message): void {
    this.post(() =>
      this.#fromClient(() => {
        this.input({ kind: 'client', connection, message })
        if (this.around.poison) poison(message)
      }),
    )
  }
  clientGone(connection: ConnectionId): void {
    this.post(() => this.#fromClient(() => this.input({ kind: 'clientGone', connection })))
  }
  /** Client connections outlive a reload of the core: what they say meanwhile is held for the new one. */
  #fromClient(give: () => void): void {
    if (this.core === undefined) this.#held.push(give)
    else give()
  }

  /** Makes the core from the disk. */
  protected abstract load(): void
  /** What a crash does to the disk. */
  protected abstract lose(): void
  /** Tells the core about its process. */
  protected abstract tellSlept(now: number, sleptMs: number): void
  protected abstract tellHealth(): void
  protected abstract other(effect: { readonly kind: string }): void
  /** After every step; where the oracle looks. */
  protected abstract observed(): void

  /** Runs now, or after the pause; not at all in another incarnation. */
  protected post(run: () => void): void {
    if (!this.alive) return
    if (this.paused) this.#backlog.push(run)
    else run()
  }

  /** Runs after a delay in this incarnation. */
  protected later(delayMs: number, run: () => void): void {
    const { incarnation } = this
    this.around.kernel.after(delayMs, () => {
      if (this.incarnation === incarnation) this.post(run)
    })
  }

  protected note(text: string): void {
    if (this.around.trace.enabled) this.around.trace.line(this.around.kernel.now, this.id, `** ${text}`)
  }

  /** One step of the core and all its effects. */
  protected input(input: object): void {
    if (this.core === undefined || !this.alive) return
    this.guarded(() => this.#step(input))
    if (this.alive) this.#afterStep()
  }

  /** An InvariantError of a core is a violation with the core's own words. */
  protected guarded(run: () => void): void {
    try {
      run()
    } catch (error) {
      if (error instanceof Violation) throw error
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
      const what = error instanceof InvariantError ? 'broken invariant' : 'exception'
      throw new Violation('core', `${this.id}: ${what}: ${text}`)
    }
  }

  #step(input: object): void {
    const { core } = this
    if (core === undefined) return
    const { trace, kernel } = this.around
    if (trace.enabled) trace.line(kernel.now, this.id, `< ${describeInput(input)}`)
    const effects = (core as unknown as Core<object, { kind: string }>).step(this.clock.now(), input)
    for (let i = 0; i < effects.length && this.alive; i++) {
      const effect = effects[i]!
      if (trace.enabled) trace.line(kernel.now, this.id, `  > ${brief(effect)}`)
      this.#execute(effect)
    }
    if (this.alive) this.observed()
  }

  #execute(effect: { kind: string }): void {
    const common = effect as CommonEffects
    switch (common.kind) {
      case 'send':
        this.sending(common.to, common.message)
        if (this.#reachable.has(common.to)) this.around.network.send(this, common.to, common.message)
        break
      case 'reply':
        this.replying(common.message)
        this.connections.get(common.connection)?.reply(common.message)
        break
      case 'address':
        this.#reachable.add(common.id)
        break
      case 'event':
        this.around.onEvent(this.id, common.name, common.fields)
        break
      case 'halt':
        throw new Violation('core', `${this.id} halted: ${common.reason}`)
      default:
        this.other(effect)
    }
  }

  /** Hooks for the oracle. */
  protected abstract sending(to: NodeId, message: Message): void
  protected abstract replying(message: Message): void

  #afterStep(): void {
    const { core } = this
    if (core === undefined) return
    if (core.wakeAt < this.#tickAt) this.#armTick(core.wakeAt)
    if (!this.#turnEndSet && (core.wantsFlush === true || core.wantsCapture === true)) {
      this.#turnEndSet = true
      this.later(this.around.random.between(0.01, 0.15), () => this.#endTurn())
    }
    if (!this.#applySet && core.wantsApply === true) {
      this.#applySet = true
      // Soon as a rule, but a slow process may hear of many other things before.
      const { random } = this.around
      this.later(random.chance(0.1) ? random.between(1, 20) : random.between(0.01, 0.3), () => this.#apply())
    }
  }

  #apply(): void {
    this.#applySet = false
    if (this.core?.wantsApply === true) this.input({ kind: 'apply' })
  }

  #endTurn(): void {
    this.#turnEndSet = false
    if (this.core?.wantsFlush === true) this.input({ kind: 'flush' })
    if (this.core?.wantsCapture === true) this.input({ kind: 'capture' })
    this.#afterStep()
  }

  #armTick(at: number): void {
    this.#tickAt = at
    const timer = ++this.#tickTimer
    const { kernel } = this.around
    // A timer has a granularity: a core that asks for the past is woken a moment later.
    const when = Math.max(this.clock.trueTimeOf(at), kernel.now + 0.05)
    const { incarnation } = this
    kernel.at(when, () => {
      if (this.incarnation !== incarnation || timer !== this.#tickTimer) return
      this.post(() => {
        if (timer !== this.#tickTimer) return
        this.#tickAt = Infinity
        if (this.core !== undefined && this.clock.now() >= this.core.wakeAt) this.input({ kind: 'tick' })
        else this.#afterStep()
      })
    })
  }

  /** A core was put in place: its timers and its turn are armed. */
  protected installed(): void {
    this.#tickAt = Infinity
    this.#tickTimer++
    this.#afterStep()
    for (const give of this.#held.splice(0)) give()
  }

  protected armHealth(): void {
    this.later(this.clock.trueDuration(100), () => {
      this.tellHealth()
      this.armHealth()
    })
  }
}

function describeInput(input: object): string {
  const i = input as { kind: string; from?: Sender; message?: unknown; connection?: number }
  if (i.kind === 'message') return `${i.from!.id}: ${brief(i.message)}`
  if (i.kind === 'client') return `#${i.connection}: ${brief(i.message)}`
  return brief(input)
}
