// What servers answer to a session, case by case as in PROTOCOL 6: replies, registration, refusals, silence, expiry.
import { DecodeError, REPLY_FORGOTTEN, REPLY_OK, REPLY_SKIPPED, readU32 } from '@coppice/protocol'
import type { Millis, RefusedMessage, RegisteredMessage, RepliesMessage, RequestId } from '@coppice/protocol'
import { backoffMs } from './backoff.js'
import type { Call } from './call.js'
import { failure } from './failures.js'
import type { Resolution } from './api.js'
import type { Member } from './members.js'
import { copyOut } from './run-builder.js'
import type { Session } from './session.js'

const OVERLOAD_BASE_MS = 5
const OVERLOAD_MAX_MS = 500
const BULK_OVERLOAD_FACTOR = 4
/** The same gap in the order is answered by a resend this often at the most, ms. */
const RESEND_GAP_MS = 50
/** PROTOCOL 6: out of contact for this part of the TTL, a clerk counts as expired. */
const CONTACT_PART = 0.8
const MAX_SILENCE_DOUBLINGS = 3
/** Silences in a row after which a link is given up. */
const SMALL_PATIENCE = 3
const BULK_PATIENCE = 4

export class SessionAnswers {
  readonly #session: Session
  readonly #silenceMs: number
  #overloads = 0
  /** Silences in a row, without any progress between them. */
  #silences = 0
  #queuedBytes = 0
  #resentFrom: RequestId = 0
  #resentAt: Millis = -Infinity
  #cancelRecheck: (() => void) | undefined = undefined

  constructor(session: Session, silenceMs: number) {
    this.#session = session
    this.#silenceMs = silenceMs
  }

  onRegistered(member: Member, message: RegisteredMessage): void {
    const session = this.#session
    if (!session.registering || !sameBytes(message.nonce, session.nonce)) return
    // The session it was registered as is the one that goes on; were it gone, its requests would be told so.
    if (session.clerkId === 0) session.clerkId = message.clerkId
    session.registering = false
    session.doubted = false
    this.#progress(member)
    session.ports.schedule()
  }

  onReplies(member: Member, message: RepliesMessage): void {
    const session = this.#session
    const { replies } = message
    this.#progress(member)
    const { buffer, end } = replies
    let at = replies.start
    for (let i = 0; i < message.count; i++) {
      if (at + 5 > end) throw new DecodeError('a reply is cut off')
      const status = buffer[at]!
      const start = at + 5
      at = start + readU32(buffer, at + 1)
      if (at > end) throw new DecodeError('a reply is cut off')
      const call = session.window.get(message.firstRequestId + i)
      // Answered before: a repeated reply tells nothing new.
      if (call !== undefined) this.#complete(call, status, buffer, start, at)
    }
    if (at !== end) throw new DecodeError(`${end - at} bytes too many`)
    if (session.queue.size > 0) session.ports.schedule()
  }

  onRefused(member: Member, message: RefusedMessage): void {
    const session = this.#session
    // From a link left behind: what was sent there has been sent again elsewhere.
    if (member.link !== session.link) return
    if (message.of === 'register') {
      if (!session.registering) return
      session.registering = false
    }
    session.progressAt = session.ports.clock.now()
    // Out of order is what follows another refusal; the first one is worth telling.
    if (message.reason !== 'outOfOrder') session.lastRefusal = message.reason
    switch (message.reason) {
      case 'moved':
      case 'behind':
        session.rewind(0)
        session.doubted = true
        session.ports.routing.onNotPrimary(member, message.primary)
        return
      case 'outOfOrder':
        this.#onOutOfOrder(member, message)
        return
      case 'sessionExpired':
        this.#expire(this.#neverExecutedFrom(message), 'the cluster has removed this session')
        return
      case 'overloaded':
      case 'window':
      case 'retry':
        this.#onOverloaded(message)
        return
      case 'stale':
        this.#onStale(message)
        return
      case 'invalid':
      case 'tooLarge':
        this.#onInvalid(message)
        return
    }
  }

  /** Looks for silence and for the end of the session's life; called a few times per silenceMs. */
  tick(now: Millis): void {
    const session = this.#session
    const { routing } = session.ports
    const ttlMs = routing.configuration?.params.clerkTtlMs ?? Infinity
    if (session.clerkId !== 0 && session.window.size > 0 && now - session.contactAt > ttlMs * CONTACT_PART) {
      this.#expire(Infinity, 'out of contact for so long that the cluster may have removed this session')
      return
    }
    const member = routing.primary()
    if (member === undefined || member.link !== session.link || !session.owed) return
    const queuedBytes = member.link?.queuedBytes ?? 0
    if (queuedBytes !== this.#queuedBytes || member.arrivingAt === now) {
      // A large operation that is still leaving is progress, and so is a large reply that is arriving.
      this.#queuedBytes = queuedBytes
      session.progressAt = now
      return
    }
    if (now - session.progressAt < this.#silenceMs * 2 ** Math.min(this.#silences, MAX_SILENCE_DOUBLINGS)) return
    this.#silences++
    session.progressAt = now
    session.registering = false
    // First the requests are repeated on the same link, large ones not so lightly; in the end the link is given up. The wire finds out
    // on its own, and sooner, when nobody is at the other end.
    const patience = session.limits.bulk ? BULK_PATIENCE : SMALL_PATIENCE
    const giveUp = this.#silences % patience === 0
    if (!session.limits.bulk || this.#silences % patience === patience - 1) session.rewind(0)
    routing.onSilent(member, giveUp)
    session.ports.schedule()
  }

  close(): void {
    this.#cancelRecheck?.()
    this.#cancelRecheck = undefined
  }

  #progress(member: Member): void {
    const session = this.#session
    const now = session.ports.clock.now()
    session.contactAt = now
    session.progressAt = now
    session.lastRefusal = ''
    this.#overloads = 0
    this.#silences = 0
    session.ports.routing.onProgress(member)
  }

  #complete(call: Call, status: number, buffer: Uint8Array, start: number, end: number): void {
    const session = this.#session
    const { calls, fates } = session.ports
    const abandoned = call.settled
    // A malformed status must be seen before anything is changed.
    const outcome = fateOf(status)
    session.window.complete(call)
    if (status === REPLY_OK) {
      const reply = abandoned || call.waiters !== undefined ? copyOut(buffer, start, end) : undefined
      if (!abandoned) calls.answer(call, buffer, start, end)
      if (reply !== undefined) fates.settle(session.clerkId, call, { outcome: 'applied', reply }, abandoned)
      return
    }
    const resolution: Resolution = { outcome }
    if (!abandoned) {
      const applied = outcome === 'applied'
      const message = applied
        ? 'applied, but its reply was too large to be kept for a repetition of the request'
        : 'skipped although its user still waits'
      const details = { outcome, epoch: this.#epoch, clerkId: session.clerkId }
      calls.fail(call, failure(call, applied ? 'TOO_LARGE' : 'INTERNAL', message, details))
    }
    fates.settle(session.clerkId, call, resolution, abandoned)
  }

  // A frame before this one is missing at the primary.
  #onOutOfOrder(member: Member, message: RefusedMessage): void {
    const session = this.#session
    const { expected } = message
    if (expected < session.window.firstIncomplete) {
      // It wants what was answered long ago: a replica that is behind.
      session.rewind(0)
      session.ports.routing.onNotPrimary(member, message.primary)
      return
    }
    // Rewound already, and not sent yet.
    if (session.cursor <= expected) return
    const now = session.ports.clock.now()
    if (expected !== this.#resentFrom || now - this.#resentAt >= RESEND_GAP_MS) {
      this.#resentFrom = expected
      this.#resentAt = now
      session.rewind(expected)
      return
    }
    // Most likely the refusal of a frame that left before the resend did. If not, the gap is still there a little later.
    this.#cancelRecheck ??= session.ports.clock.after(RESEND_GAP_MS, () => {
      this.#cancelRecheck = undefined
      if (session.window.get(expected) !== undefined) session.rewind(expected)
    })
  }

  #onOverloaded(message: RefusedMessage): void {
    const session = this.#session
    const { random } = session.ports
    // What is large costs the primary much before it can refuse it again.
    const factor = session.limits.bulk ? BULK_OVERLOAD_FACTOR : 1
    session.pause(backoffMs(this.#overloads++, factor * OVERLOAD_BASE_MS, factor * OVERLOAD_MAX_MS, random))
    session.rewind(message.of === 'register' ? 0 : message.firstId)
  }

  // The first refused request whose only transmission this was; neither it nor any later one can have been executed.
  #neverExecutedFrom(message: RefusedMessage): RequestId {
    const { window } = this.#session
    const end = message.firstId + message.count
    for (let id = message.firstId; id < end; id++) if (window.get(id)?.attempts === 1) return id
    return Infinity
  }

  // The cluster holds these for complete because this clerk said so; then they are complete here, or it is not our doing.
  #onStale(message: RefusedMessage): void {
    const session = this.#session
    for (let id = message.firstId; id < message.firstId + message.count; id++) {
      const call = session.window.get(id)
      if (call === undefined) continue
      this.#fate(call, 'unknown', 'INTERNAL', 'the cluster holds this request for complete')
    }
  }

  // Its bytes can never enter the log. It keeps its id, which a Skip will fill; what was sent behind it is sent again.
  #onInvalid(message: RefusedMessage): void {
    const session = this.#session
    const call = session.window.get(message.firstId)
    if (call !== undefined && !call.settled) {
      session.window.abandon(call)
      const code = message.reason === 'invalid' ? 'INVALID_ARGUMENT' : 'TOO_LARGE'
      const details = { outcome: 'not-applied' as const, epoch: this.#epoch, clerkId: session.clerkId }
      session.ports.calls.fail(call, failure(call, code, message.message, details))
    }
    session.lastRefusal = ''
    session.rewind(message.firstId)
  }

  /** The session is gone: nothing of it is ever sent again. Requests from `neverFrom` on that were sent once were not executed. */
  #expire(neverFrom: RequestId, why: string): void {
    const session = this.#session
    const { clerkId } = session
    const { calls, fates } = session.ports
    for (const call of session.renew()) {
      const never = call.attempts === 0 || (call.id >= neverFrom && call.attempts === 1)
      const outcome = never ? 'not-applied' : 'unknown'
      const abandoned = call.settled
      calls.fail(call, failure(call, 'SESSION_EXPIRED', why, { outcome, epoch: this.#epoch, clerkId }))
      fates.settle(clerkId, call, { outcome }, abandoned)
    }
  }

  #fate(call: Call, outcome: 'unknown', code: 'INTERNAL', why: string): void {
    const session = this.#session
    const abandoned = call.settled
    session.window.complete(call)
    const details = { outcome, epoch: this.#epoch, clerkId: session.clerkId }
    session.ports.calls.fail(call, failure(call, code, why, details))
    session.ports.fates.settle(session.clerkId, call, { outcome }, abandoned)
  }

  get #epoch(): number | undefined {
    return this.#session.ports.routing.configuration?.epoch
  }
}

function fateOf(status: number): 'applied' | 'not-applied' {
  if (status === REPLY_OK || status === REPLY_FORGOTTEN) return 'applied'
  if (status === REPLY_SKIPPED) return 'not-applied'
  throw new DecodeError(`unknown reply status ${status}`)
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
