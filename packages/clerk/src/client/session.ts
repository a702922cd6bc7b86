// One session of a clerk (PROTOCOL 6): registration, ids in the order of frames, pipelining inside the window, resending in order
// after a failover, Skip for ids whose users stopped waiting. What servers answer is in session-answers.ts.
import { CLERK_WINDOW, FRAGMENT_BYTES, MAX_RUN_REQUESTS, NONCE_BYTES, assert } from '@coppice/protocol'
import type { ClerkId, Clock, Millis, Outcome, Random, RefusalReason, RequestId } from '@coppice/protocol'
import { type Call, type CallOwner, CallQueue } from './call.js'
import type { Fates } from './fates.js'
import type { ReplicaLink } from './members.js'
import type { OpenCalls } from './open-calls.js'
import type { Routing } from './routing.js'
import { buildOps } from './run-builder.js'
import { RequestWindow } from './window.js'

// A frame that the wire does not cut keeps its place among its neighbours; so a session for small operations sends no larger one.
const FRAME_HEADER_BYTES = 64
const WHOLE_FRAME_BYTES = FRAGMENT_BYTES - FRAME_HEADER_BYTES
const BULK_FRAME_BYTES = 1024 * 1024
/** A session idle for this part of its TTL is replaced before it is used again, so that no call meets its expiry. */
const IDLE_PART = 0.5

export interface SessionPorts {
  readonly clock: Clock
  readonly random: Random
  readonly routing: Routing
  readonly calls: OpenCalls
  readonly fates: Fates
  /** Asks for `flush` at the end of the turn. */
  readonly schedule: () => void
}

export interface SessionLimits {
  /** This session carries large operations. */
  readonly bulk: boolean
  readonly maxInFlight: number
  readonly maxInFlightBytes: number
}

export class Session implements CallOwner {
  clerkId: ClerkId = 0
  nonce: Uint8Array
  readonly limits: SessionLimits
  readonly ports: SessionPorts
  readonly queue = new CallQueue()
  readonly window = new RequestWindow()
  /** The link that `cursor` speaks of. */
  link: ReplicaLink | undefined = undefined
  /** Next id to be put into a frame on this link; all incomplete ids below are under way on it. */
  cursor: RequestId = 1
  registering = false
  /** The server asked last did not lead: large requests leave only once one says that it does. */
  doubted = false
  /** When the cluster last proved that it knows this session (0.8 TTL rule). */
  contactAt: Millis = 0
  /** Since when answers are owed without any sign of progress. */
  progressAt: Millis = 0
  /** The last refusal without progress since; '' when none. */
  lastRefusal: RefusalReason | '' = ''
  /** Abandoned ids below `cursor` whose Skip is still to be sent. */
  #skips: RequestId[] = []
  /** Highest id in a frame that the wire cuts into fragments, on this link: smaller frames would overtake it. */
  #lastCut: RequestId = 0
  #cancelPause: (() => void) | undefined = undefined
  readonly #run: Call[] = []

  constructor(ports: SessionPorts, limits: SessionLimits) {
    assert(limits.maxInFlight <= CLERK_WINDOW, 'a window holds all requests in flight')
    this.ports = ports
    this.limits = limits
    this.nonce = newNonce(ports.random)
  }

  /** Nothing is owed to anybody. */
  get idle(): boolean {
    return this.queue.size === 0 && this.window.size === 0
  }

  /** Answers are owed by the server at `link`. */
  get owed(): boolean {
    return this.registering || (this.window.size > 0 && this.cursor > this.window.firstIncomplete)
  }

  submit(call: Call): void {
    this.queue.push(call)
    this.ports.schedule()
  }

  withdraw(call: Call): Outcome {
    if (call.queue !== undefined) {
      this.queue.remove(call)
      return 'not-applied'
    }
    this.window.abandon(call)
    if (call.id < this.cursor) this.#skips.push(call.id)
    this.ports.schedule()
    // A refused transmission proves nothing: the network may hold a second copy of it. One that never was cannot arrive.
    return call.attempts === 0 ? 'not-applied' : 'unknown'
  }

  lastWord(): string {
    return this.lastRefusal === '' ? '' : `the primary refused: ${this.lastRefusal}`
  }

  /** Sends all that may be sent now: resends first, then new requests as far as the window reaches. */
  flush(): void {
    if (this.idle) return
    const link = this.ports.routing.primary()?.link
    if (link === undefined) return
    if (link !== this.link) this.#moveTo(link)
    this.#maybeReplaceIdle()
    // A repeated registration changes nothing and is small; whoever answers it takes requests too.
    if (this.clerkId === 0 || (this.limits.bulk && this.doubted)) {
      this.#maybeRegister(link)
      return
    }
    if (!this.owed) this.progressAt = this.ports.clock.now()
    this.#sendSkips(link)
    let more = true
    while (more) more = this.#sendNext(link)
  }

  /** Sends again from `id` on. */
  rewind(id: RequestId): void {
    this.cursor = Math.min(this.cursor, Math.max(id, this.window.firstIncomplete))
    this.ports.schedule()
  }

  /** Sends no request for a while; Skips at the head still go. */
  pause(ms: number): void {
    this.#cancelPause?.()
    this.#cancelPause = this.ports.clock.after(ms, () => {
      this.#cancelPause = undefined
      this.ports.schedule()
    })
  }

  /** Forgets the clerkId; the next call registers a new one. Returns what was incomplete, in order. */
  renew(): Call[] {
    this.clerkId = 0
    this.nonce = newNonce(this.ports.random)
    this.registering = false
    this.doubted = false
    this.cursor = 1
    this.#skips = []
    this.#lastCut = 0
    this.lastRefusal = ''
    const calls = this.window.reset()
    this.ports.schedule()
    return calls
  }

  close(): void {
    this.#cancelPause?.()
    this.#cancelPause = undefined
  }

  #moveTo(link: ReplicaLink): void {
    this.link = link
    this.cursor = this.window.firstIncomplete
    this.registering = false
    this.#skips = []
    this.#lastCut = 0
    this.progressAt = this.ports.clock.now()
    // A pause asked for by another server does not hold here.
    this.close()
  }

  #maybeReplaceIdle(): void {
    if (this.clerkId === 0 || this.window.size > 0) return
    const ttlMs = this.ports.routing.configuration?.params.clerkTtlMs ?? Infinity
    if (this.ports.clock.now() - this.contactAt > ttlMs * IDLE_PART) this.renew()
  }

  #maybeRegister(link: ReplicaLink): void {
    if (this.registering || this.#cancelPause !== undefined) return
    this.registering = true
    this.progressAt = this.ports.clock.now()
    link.send({ kind: 'register', nonce: this.nonce })
  }

  // Skips for ids already sent on this link. They lie below `cursor`, so they break no order.
  #sendSkips(link: ReplicaLink): void {
    if (this.#skips.length === 0) return
    const ids = this.#skips
      .filter((id) => id < this.cursor && this.window.get(id)?.settled === true)
      .sort((a, b) => a - b)
    this.#skips = []
    for (let i = 0; i < ids.length;) {
      const from = ids[i]!
      let to = from
      while (++i < ids.length && ids[i] === to + 1 && to - from + 1 < MAX_RUN_REQUESTS) to++
      if (this.#wouldOvertake(from)) for (let id = from; id <= to; id++) this.#skips.push(id)
      else this.#sendSkip(link, from, to)
    }
  }

  #sendSkip(link: ReplicaLink, from: RequestId, to: RequestId): void {
    link.send({ kind: 'skip', clerkId: this.clerkId, from, to, firstIncomplete: this.window.firstIncomplete })
  }

  // A whole frame overtakes one that is cut into fragments and would be refused as out of order; at the head nothing is before it.
  #wouldOvertake(id: RequestId): boolean {
    return this.window.firstIncomplete <= this.#lastCut && id > this.window.firstIncomplete
  }

  /** Sends the next frame; false: nothing more may be sent now. */
  #sendNext(link: ReplicaLink): boolean {
    const { window } = this
    while (this.cursor < window.nextId && window.get(this.cursor) === undefined) this.cursor++
    if (this.cursor < window.nextId && window.get(this.cursor)!.settled) return this.#sendSkipRun(link)
    if (this.#cancelPause !== undefined) return false
    return this.#sendRequests(link)
  }

  #sendSkipRun(link: ReplicaLink): boolean {
    const from = this.cursor
    if (this.#wouldOvertake(from)) return false
    let to = from
    while (to - from + 1 < MAX_RUN_REQUESTS && this.window.get(to + 1)?.settled === true) to++
    this.#sendSkip(link, from, to)
    this.cursor = to + 1
    return true
  }

  #sendRequests(link: ReplicaLink): boolean {
    const { window, queue } = this
    const run = this.#run
    const limit = this.limits.bulk ? BULK_FRAME_BYTES : WHOLE_FRAME_BYTES
    let bytes = 0
    for (let id = this.cursor; run.length < MAX_RUN_REQUESTS; id++) {
      const fresh = id === window.nextId
      const call = fresh ? queue.head : window.get(id)
      if (call === undefined || (fresh ? !this.#hasRoomFor(call) : call.settled)) break
      const size = 4 + call.size
      if (run.length > 0 && bytes + size > limit) break
      if (fresh) {
        const cut = bytes + size > WHOLE_FRAME_BYTES
        if (run.length === 0 && !cut && this.#wouldOvertake(id)) break
        queue.remove(call)
        window.add(call)
      }
      run.push(call)
      bytes += size
    }
    if (run.length === 0) return false
    if (bytes <= WHOLE_FRAME_BYTES && this.#wouldOvertake(this.cursor)) {
      run.length = 0
      return false
    }
    this.#send(link, bytes)
    return true
  }

  #send(link: ReplicaLink, bytes: number): void {
    const run = this.#run
    const firstRequestId = run[0]!.id
    for (let i = 0; i < run.length; i++) run[i]!.attempts++
    this.cursor = firstRequestId + run.length
    if (bytes > WHOLE_FRAME_BYTES) this.#lastCut = this.cursor - 1
    link.send({
      kind: 'requests',
      clerkId: this.clerkId,
      firstRequestId,
      firstIncomplete: this.window.firstIncomplete,
      count: run.length,
      ops: buildOps(run, bytes),
    })
    run.length = 0
  }

  #hasRoomFor(call: Call): boolean {
    const { window, limits } = this
    if (!window.open || window.live >= limits.maxInFlight) return false
    return window.live === 0 || window.liveBytes + call.size <= limits.maxInFlightBytes
  }
}

function newNonce(random: Random): Uint8Array {
  const nonce = new Uint8Array(NONCE_BYTES)
  for (let i = 0; i < NONCE_BYTES; i++) nonce[i] = Math.floor(random() * 256)
  return nonce
}
