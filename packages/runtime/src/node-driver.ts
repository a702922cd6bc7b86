// Drives one core: gives it inputs one at a time, executes its effects before the next step, wakes it, closes its batches at the
// end of a turn, and stops at the first broken invariant. It knows nothing of the protocol.
import type { Clock, CommonEffect, ConnectionId, Core, EventName, Millis, NodeId } from '@coppice/protocol'
import { afterSending } from './turn.js'

/** A core as the driver sees it; what only some cores have is optional. */
export interface DrivenCore<I, E> extends Core<I, E> {
  /** There is a batch to close: give `flush` at the end of this turn. */
  readonly wantsFlush?: boolean
  /** There is work that nobody waits for: give `apply` once what the turn made has left. */
  readonly wantsApply?: boolean
  /** There is a capture to continue: give `capture` when there is time. */
  readonly wantsCapture?: boolean
}

// What the effects of a core carry, by their kind.
type MessageOf<E> = Extract<E, { readonly kind: 'send' }> extends { readonly message: infer M } ? M : never
type AnswerOf<E> = Extract<E, { readonly kind: 'reply' }> extends { readonly message: infer C } ? C : never
type WriteOf<E> = Extract<E, { readonly kind: 'write' }> extends { readonly writes: readonly (infer W)[] } ? W : never
type Common<E> = CommonEffect<MessageOf<E>, AnswerOf<E>, WriteOf<E>>
/** The effects of E that only its own host can execute. */
export type OtherEffect<E> = Exclude<E, { readonly kind: Common<E>['kind'] }>

/** The part of ServerWire the driver uses. */
export interface DriverWire<E> {
  setAddress(id: NodeId, address: string, dial: boolean): void
  send(to: NodeId, message: MessageOf<E>): void
  reply(connection: ConnectionId, message: AnswerOf<E>): void
}

/** A core and what executes its effects. */
export interface NodeDriverOptions<I, E> {
  readonly core: DrivenCore<I, E>
  readonly clock: Clock
  readonly wire: DriverWire<E>
  /**
   * Make `writes` durable, then call `durable` (or give the `written` input yourself), in the order of the calls (R2).
   * `durable` does nothing when the core was replaced meanwhile: the completion is not the new one's.
   */
  write(token: number, writes: readonly WriteOf<E>[], durable: () => void): void
  /** Effects that are not common to all cores. */
  other(effect: OtherEffect<E>): void
  /** The core asked to stop, or threw. Called once; nothing is given to the core afterwards. */
  onHalt(reason: string): void
  onEvent(name: EventName, fields: Readonly<Record<string, unknown>>): void
  /**
   * The input that tells the core about its process, every 100 ms and first thing after a stall; undefined: nothing to tell.
   * `sleptMs`: how late the event loop was, 0 when on time.
   */
  readonly health?: (sleptMs: Millis) => I | undefined
}

const HEALTH_EVERY_MS = 100
/** A health check later than this was held up by a stall, not by ordinary work. */
const STALL_MS = 100
/** Under load a capture still gets one piece this often. */
const CAPTURE_AT_LEAST_MS = 10

const TICK = { kind: 'tick' } as const
const FLUSH = { kind: 'flush' } as const
const APPLY = { kind: 'apply' } as const
const CAPTURE = { kind: 'capture' } as const

/** Drives one core in this process: inputs one at a time, effects in their order, nothing after a broken invariant. */
export class NodeDriver<I, E> {
  private readonly options: NodeDriverOptions<I, E>
  private readonly clock: Clock
  private core: DrivenCore<I, E> | undefined
  /** Inputs that arrived while effects were executed, or while the core was suspended. */
  private queue: I[] = []
  private stepping = false
  private stopped = false
  private suspended = false
  private cancelWake: (() => void) | undefined
  private wakeSetFor: Millis = Infinity
  private cancelHealth: (() => void) | undefined
  private healthAt: Millis
  private turnEndSet = false
  private applySet = false
  private inputsThisTurn = 0
  private capturedAt: Millis = -Infinity
  /** Completions of writes begun by a replaced core are not the new one's. */
  private generation = 0

  constructor(options: NodeDriverOptions<I, E>) {
    this.options = options
    this.clock = options.clock
    this.core = options.core
    this.healthAt = this.clock.now() + HEALTH_EVERY_MS
    if (options.health !== undefined) this.armHealth()
    this.afterStep()
  }

  /** Gives one input to the core; queued while another one is being worked on. */
  input(input: I): void {
    if (this.stopped || this.core === undefined) return
    this.inputsThisTurn++
    if (this.stepping || this.suspended) {
      this.queue.push(input)
      return
    }
    // After a stall the core must know of it before it judges anything that waited meanwhile.
    if (this.options.health !== undefined && this.clock.now() > this.healthAt + STALL_MS) this.checkHealth()
    this.run(input)
  }

  /** The core from now on; undefined: none yet (it is being loaded), and inputs are dropped like lost messages. */
  replaceCore(core: DrivenCore<I, E> | undefined): void {
    this.core = core
    this.generation++
    this.queue = []
    this.afterStep()
  }

  stop(): void {
    this.stopped = true
    this.queue = []
    this.cancelWake?.()
    this.cancelHealth?.()
  }

  /**
   * The core gets nothing until `resume`, as if its process were stopped by SIGSTOP: timers pass by, inputs wait. Whoever suspends it bounds what
   * comes in meanwhile.
   */
  suspend(): void {
    this.suspended = true
  }

  resume(): void {
    if (!this.suspended) return
    this.suspended = false
    if (this.stopped) return
    if (this.options.health !== undefined) {
      if (this.clock.now() > this.healthAt + STALL_MS) this.checkHealth()
      this.cancelHealth?.()
      this.armHealth()
    }
    const held = this.queue
    this.queue = []
    for (let i = 0; i < held.length; i++) this.input(held[i]!)
    this.afterStep()
  }

  private run(input: I): void {
    this.stepping = true
    try {
      this.step(input)
      while (this.queue.length > 0) this.stepQueued()
    } catch (error) {
      this.halt(error instanceof Error ? (error.stack ?? error.message) : String(error))
    } finally {
      this.stepping = false
    }
    this.afterStep()
  }

  private stepQueued(): void {
    const { queue, generation } = this
    this.queue = []
    // What was meant for a replaced core is dropped with it.
    for (let i = 0; i < queue.length && generation === this.generation; i++) this.step(queue[i]!)
  }

  private step(input: I): void {
    const core = this.core
    if (core === undefined || this.stopped) return
    const effects = core.step(this.clock.now(), input)
    for (let i = 0; i < effects.length && !this.stopped; i++) this.execute(effects[i]!)
  }

  private execute(effect: E): void {
    const common = effect as Common<E>
    switch (common.kind) {
      case 'send':
        return this.options.wire.send(common.to, common.message)
      case 'reply':
        return this.options.wire.reply(common.connection, common.message)
      case 'write': {
        const { token } = common
        const generation = this.generation
        return this.options.write(token, common.writes, () => {
          if (generation === this.generation) this.input({ kind: 'written', token } as I)
        })
      }
      case 'address':
        return this.options.wire.setAddress(common.id, common.address, common.dial === true)
      case 'event':
        return this.options.onEvent(common.name, common.fields)
      case 'halt':
        return this.halt(common.reason)
      default:
        return this.options.other(effect as OtherEffect<E>)
    }
  }

  private halt(reason: string): void {
    if (this.stopped) return
    this.stop()
    this.options.onHalt(reason)
  }

  private afterStep(): void {
    const { core } = this
    if (core === undefined || this.stopped || this.suspended) return
    if (core.wakeAt < this.wakeSetFor) this.armWake(core.wakeAt)
    if (!this.turnEndSet && (core.wantsFlush === true || core.wantsCapture === true)) {
      this.turnEndSet = true
      this.clock.endOfTurn(this.onTurnEnd)
    }
    if (!this.applySet && core.wantsApply === true) {
      this.applySet = true
      afterSending(this.onSent)
    }
  }

  private readonly onSent = (): void => {
    this.applySet = false
    const { core } = this
    if (core === undefined || this.stopped || this.suspended) return
    // A write that ended in this turn lets something leave: that goes first.
    if (core.wantsFlush !== true && core.wantsApply === true) this.run(APPLY as I)
    else this.afterStep()
  }

  private readonly onTurnEnd = (): void => {
    this.turnEndSet = false
    const { core } = this
    if (core === undefined || this.stopped || this.suspended) return
    const quiet = this.inputsThisTurn === 0
    this.inputsThisTurn = 0
    if (core.wantsFlush === true) this.run(FLUSH as I)
    if (this.core?.wantsCapture === true && !this.stopped) {
      const now = this.clock.now()
      if (quiet || now - this.capturedAt >= CAPTURE_AT_LEAST_MS) {
        this.capturedAt = now
        this.run(CAPTURE as I)
      }
    }
    this.afterStep()
  }

  // One timer: a wake-up that moved to a later time costs nothing until the old time comes.
  private armWake(at: Millis): void {
    this.cancelWake?.()
    this.wakeSetFor = at
    this.cancelWake = this.clock.after(at - this.clock.now(), this.onWake)
  }

  private readonly onWake = (): void => {
    this.wakeSetFor = Infinity
    this.cancelWake = undefined
    const { core } = this
    if (core === undefined || this.stopped || this.suspended) return
    // Timers may fire a fraction of a millisecond early.
    if (this.clock.now() >= core.wakeAt) this.input(TICK as I)
    else this.afterStep()
  }

  private armHealth(): void {
    this.cancelHealth = this.clock.after(this.healthAt - this.clock.now(), this.onHealth)
  }

  private readonly onHealth = (): void => {
    if (this.stopped || this.suspended) return
    if (this.clock.now() >= this.healthAt) this.checkHealth()
    if (!this.stopped) this.armHealth()
  }

  private checkHealth(): void {
    const now = this.clock.now()
    const late = now - this.healthAt
    this.healthAt = now + HEALTH_EVERY_MS
    const input = this.options.health?.(late > STALL_MS ? late : 0)
    if (input !== undefined && this.core !== undefined) this.run(input)
  }
}
