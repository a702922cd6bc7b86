// The clerk: one user's way to a replicated state machine (PROTOCOL 6). Calls go to one of two sessions (small and bulk operations)
// or to the reads; this file begins and ends them, hands messages to whom they concern, and sends at the end of each turn.
import { BULK_OPERATION_BYTES, DecodeError, EMPTY_BYTES } from '@coppice/protocol'
import type {
  AbortSignalLike,
  ClerkId,
  Clock,
  Configuration,
  ErrorCode,
  Millis,
  Outcome,
  Random,
  ReplicaToClient,
  RequestId,
} from '@coppice/protocol'
import type {
  CallOptions,
  ClerkLike,
  ClerkOptions,
  ClerkPorts,
  DirectCalls,
  ReadAnswer,
  ReadOptions,
  RequestName,
  Resolution,
  WatchFilter,
  WatchHandle,
  WatchHandler,
} from './api.js'
import { type Call, newCall } from './call.js'
import { DirectPath } from './direct.js'
import { failure, refusalAtOnce, refusedCall, timeoutMessage } from './failures.js'
import { Fates, ambiguous } from './fates.js'
import type { Member } from './members.js'
import { OpenCalls } from './open-calls.js'
import { Readiness } from './readiness.js'
import { Reads } from './reads.js'
import { Routing } from './routing.js'
import { SessionAnswers } from './session-answers.js'
import { Session } from './session.js'
import { settingsOf } from './settings.js'
import { Watches } from './watches.js'

const TICKS_PER_SILENCE = 4

/**
 * A client whose operations are applied exactly once, through failovers and reconfigurations; `connectClerk` makes one over real sockets.
 */
export class Clerk implements ClerkLike {
  readonly clock: Clock
  readonly random: Random
  readonly timeoutMs: number
  readonly direct: DirectCalls
  readonly #calls: OpenCalls
  readonly #routing: Routing
  readonly #fates: Fates
  readonly #reads: Reads
  readonly #watches: Watches
  readonly #small: Session
  readonly #sessions: readonly (readonly [Session, SessionAnswers])[]
  readonly #silenceMs: number
  readonly #readiness: Readiness
  #scheduled = false
  #closed = false
  #cancelTick: (() => void) | undefined = undefined

  constructor(options: ClerkOptions, ports: ClerkPorts) {
    const { clock, random } = ports
    this.clock = clock
    this.random = random
    const { group, timeoutMs, maxInFlight, maxInFlightBytes, silenceMs, zone } = settingsOf(options)
    this.timeoutMs = timeoutMs
    this.#silenceMs = silenceMs
    const schedule = this.#schedule
    const giveUp = (call: Call, why: 'timeout' | 'aborted'): void => this.#giveUp(call, why)
    this.#calls = new OpenCalls({ clock, timeoutMs, hold: ports.hold, schedule, giveUp })
    this.#fates = new Fates(this.#calls)
    this.#routing = new Routing(
      {
        clock,
        random,
        configDialer: ports.configDialer,
        replicaDialer: ports.replicaDialer,
        group,
        zone,
        onMessage: (member, message) => this.#onMessage(member, message),
        onChange: () => this.#onChange(),
        onRefused: (code, message) => this.#failAll(code, message),
      },
      options.configServers,
    )
    const calls = this.#calls
    const routing = this.#routing
    this.#reads = new Reads({ clock, random, routing, calls, schedule, maxInFlight, silenceMs, zone })
    this.#watches = new Watches({ clock, random, routing, schedule, zone })
    const sessionPorts = { clock, random, routing, calls, fates: this.#fates, schedule }
    this.#small = new Session(sessionPorts, { bulk: false, maxInFlight, maxInFlightBytes })
    const bulk = new Session(sessionPorts, { bulk: true, maxInFlight, maxInFlightBytes })
    this.#sessions = [this.#small, bulk].map((s) => [s, new SessionAnswers(s, silenceMs)])
    const begin = (call: Call, options: CallOptions | undefined): boolean => this.#begin(call, options)
    this.direct = new DirectPath({ small: this.#small, bulk, reads: this.#reads, begin })
    this.#readiness = new Readiness(calls)
    routing.start()
  }

  get clerkId(): ClerkId {
    return this.#small.clerkId
  }
  get configuration(): Configuration | undefined {
    return this.#routing.configuration
  }
  get closed(): boolean {
    return this.#closed
  }
  /** Sizes of everything that grows with use: for tests and metrics. */
  get counts(): Readonly<Record<'open' | 'signals' | 'fates' | 'queued' | 'incomplete' | 'reads' | 'watches', number>> {
    let queued = 0
    let incomplete = 0
    for (const [session] of this.#sessions) {
      queued += session.queue.size
      incomplete += session.window.size
    }
    const { size: open, signals } = this.#calls
    return {
      open,
      signals,
      fates: this.#fates.size,
      queued,
      incomplete,
      reads: this.#reads.inFlight,
      watches: this.#watches.size,
    }
  }

  now(): Millis {
    return this.clock.now()
  }

  /** Resolves once a configuration is known; the way to learn early that nobody can be reached. */
  ready(options?: CallOptions): Promise<void> {
    const { promise, call } = newCall<void>(this.#readiness, EMPTY_BYTES)
    if (this.#begin(call, options)) this.#readiness.add(call, this.configuration !== undefined)
    return promise
  }

  submit(operation: Uint8Array, options?: CallOptions): Promise<Uint8Array> {
    const session = this.#sessions[operation.length > BULK_OPERATION_BYTES ? 1 : 0]![0]
    const { promise, call } = newCall<Uint8Array>(session, operation)
    if (this.#begin(call, options)) session.submit(call)
    return promise
  }

  read(query: Uint8Array, options?: ReadOptions): Promise<Uint8Array> {
    const { promise, call } = newCall<Uint8Array>(this.#reads, query)
    if (this.#begin(call, options)) this.#reads.submit(call, options)
    return promise
  }

  readAnswer(query: Uint8Array, options?: ReadOptions): Promise<ReadAnswer> {
    const { promise, call } = newCall<ReadAnswer>(this.#reads, query)
    call.detailed = true
    if (this.#begin(call, options)) this.#reads.submit(call, options)
    return promise
  }

  watch(filter: WatchFilter, handler: WatchHandler): WatchHandle {
    if (this.#closed) throw refusedCall('CLOSED', 'the clerk is closed')
    const handle = this.#watches.open(filter, handler)
    this.#maybeTick()
    return handle
  }

  async resolve(request: RequestId | RequestName, options?: CallOptions): Promise<Resolution> {
    const { requestId, clerkId } = typeof request === 'number' ? { requestId: request, clerkId: undefined } : request
    // Without an id it was never put into a frame.
    if (requestId === undefined) return { outcome: 'not-applied' }
    const known = this.#fates.find(requestId, clerkId)
    const open: Call[] = []
    for (const [session] of this.#sessions) {
      const call = clerkId === undefined || session.clerkId === clerkId ? session.window.get(requestId) : undefined
      if (call !== undefined) open.push(call)
    }
    if (known.length + open.length > 1) throw ambiguous(requestId)
    const target = open[0]
    if (target === undefined) return known[0] ?? { outcome: 'unknown' }
    const { promise, call } = newCall<Resolution>(this.#fates, EMPTY_BYTES)
    if (this.#begin(call, options)) this.#fates.await(call, target)
    return promise
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve()
    // Whoever is told of the end and calls again is refused.
    this.#closed = true
    this.#failAll('CLOSED', 'the clerk was closed')
    this.#cancelTick?.()
    this.#cancelTick = undefined
    for (const [session, answers] of this.#sessions) {
      session.close()
      answers.close()
    }
    this.#reads.close()
    this.#watches.close()
    this.#routing.close()
    this.#calls.endTurn()
    return Promise.resolve()
  }

  /** False: the call was refused before it began, its promise is rejected. */
  #begin(call: Call, options: CallOptions | undefined): boolean {
    const timeoutMs = options?.timeoutMs ?? this.timeoutMs
    const signal = options?.signal
    const refusal = refusalAtOnce(call, this.#closed, timeoutMs, signal, this.configuration?.epoch)
    if (refusal === undefined) {
      this.#calls.begin(call, timeoutMs, signal)
      if (this.#cancelTick === undefined) this.#maybeTick()
      return true
    }
    call.reject(refusal)
    call.settled = true
    return false
  }

  #giveUp(call: Call, why: 'timeout' | 'aborted'): void {
    if (why === 'aborted') {
      const signal: AbortSignalLike | undefined = call.signal
      this.#fail(call, 'ABORTED', 'the call was aborted', signal?.reason)
      return
    }
    const reachable = call.attempts > 0 || this.#routing.primary() !== undefined
    const lastWord = call.owner.lastWord(call)
    const code = lastWord.endsWith('overloaded')
      ? 'OVERLOADED'
      : reachable
        ? 'TIMEOUT'
        : this.#routing.unreachableCode()
    this.#fail(call, code, timeoutMessage(call, lastWord, this.#routing.describe()), undefined)
  }

  #fail(call: Call, code: ErrorCode, message: string, cause: unknown): void {
    const { owner } = call
    const clerkId = owner instanceof Session ? owner.clerkId : undefined
    const outcome: Outcome = owner.withdraw(call)
    this.#calls.fail(call, failure(call, code, message, { outcome, epoch: this.configuration?.epoch, clerkId, cause }))
  }

  #failAll(code: ErrorCode, message: string): void {
    for (const call of this.#calls.all()) if (!call.settled) this.#fail(call, code, message, undefined)
    this.#watches.endAll(() => refusedCall(code, message))
  }

  #onMessage(member: Member, message: ReplicaToClient): void {
    try {
      this.#take(member, message)
    } catch (error) {
      // A malformed answer ends the connection it came on, nothing else.
      if (!(error instanceof DecodeError)) throw error
      this.#routing.members.restart(member, `sent a malformed answer: ${error.message}`)
    }
  }

  #take(member: Member, message: ReplicaToClient): void {
    switch (message.kind) {
      case 'replies':
        this.#reads.saw(message.epoch, message.minIndex)
        this.#routing.onEpoch(message.epoch)
        for (const [session, answers] of this.#sessions) {
          if (session.clerkId === message.clerkId) answers.onReplies(member, message)
        }
        return
      case 'readReplies':
        this.#routing.onEpoch(message.epoch)
        this.#reads.onReplies(member, message)
        if (this.#sessions.every(([session]) => session.idle)) this.#routing.onReadProgress(message.epoch)
        return
      case 'changes':
        this.#routing.onEpoch(message.epoch)
        return this.#watches.onChanges(member, message)
      case 'watchEnd':
        this.#routing.onEpoch(message.epoch)
        return this.#watches.onEnd(member, message)
      case 'config':
        return this.#routing.onTold(message.configuration)
      case 'registered':
        this.#routing.onEpoch(message.epoch)
        for (const [, answers] of this.#sessions) answers.onRegistered(member, message)
        return
      case 'refused':
        this.#routing.onEpoch(message.epoch)
        if (message.of === 'reads') this.#reads.onRefused(member, message)
        else {
          for (const [session, answers] of this.#sessions) {
            if (session.clerkId === message.clerkId) answers.onRefused(member, message)
          }
        }
        return
      case 'announced':
        return this.#routing.onAnnounced(message.members)
      default:
        // Answers to the command's other questions; a clerk asks none of them.
        return
    }
  }

  #onChange(): void {
    if (this.configuration !== undefined) this.#readiness.settle()
    this.#reads.onChange()
    this.#watches.onChange()
    if (!this.#watches.idle) this.#maybeTick()
  }

  readonly #schedule = (): void => {
    if (this.#scheduled || this.#closed) return
    this.#scheduled = true
    this.clock.endOfTurn(this.#flush)
  }

  readonly #flush = (): void => {
    this.#scheduled = false
    if (this.#closed) return
    for (const [session] of this.#sessions) session.flush()
    this.#reads.flush()
    this.#watches.flush()
    this.#calls.endTurn()
  }

  // Runs while anything is owed: by the cluster to the clerk, or by the clerk to its users.
  #maybeTick(): void {
    if (this.#cancelTick !== undefined || this.#closed) return
    this.#cancelTick = this.clock.after(this.#silenceMs / TICKS_PER_SILENCE, () => {
      this.#cancelTick = undefined
      const idle = this.#calls.size === 0 && this.#watches.idle && this.#sessions.every(([session]) => session.idle)
      if (idle) return
      const now = this.clock.now()
      this.#routing.tick(now, this.#silenceMs)
      for (const [, answers] of this.#sessions) answers.tick(now)
      this.#reads.tick(now)
      this.#maybeTick()
    })
  }
}
