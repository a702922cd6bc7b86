// What became of requests whose users stopped waiting, and those who ask (`resolve`). Bounded: the newest fates are remembered.
import { CoppiceError } from '@coppice/protocol'
import type { ClerkId, Outcome, RequestId } from '@coppice/protocol'
import type { Resolution } from './api.js'
import type { Call, CallOwner } from './call.js'
import type { OpenCalls } from './open-calls.js'

export const MAX_FATES = 1_024
/** Larger replies are not kept with a fate. */
const MAX_KEPT_REPLY_BYTES = 4_096

export class Fates implements CallOwner {
  readonly #calls: OpenCalls
  /** By requestId, then by clerkId: the sessions of a clerk count on their own. */
  readonly #byRequestId = new Map<RequestId, Map<ClerkId, Resolution>>()
  readonly #order: [RequestId, ClerkId][] = []
  #oldest = 0
  /** Whose fate each open resolution waits for. */
  readonly #targetByWaiter = new Map<Call, Call>()

  constructor(calls: OpenCalls) {
    this.#calls = calls
  }

  get size(): number {
    return this.#order.length - this.#oldest
  }

  /** The fate of a request is known: tells those who wait, and remembers it if its own user was not told. */
  settle(clerkId: ClerkId, target: Call, resolution: Resolution, remember: boolean): void {
    if (remember) this.#remember(clerkId, target.id, resolution)
    const { waiters } = target
    if (waiters === undefined) return
    target.waiters = undefined
    for (const waiter of waiters) {
      this.#targetByWaiter.delete(waiter)
      this.#calls.succeed(waiter, resolution)
    }
  }

  /** `waiter` is settled when the fate of `target` is known. */
  await(waiter: Call, target: Call): void {
    this.#targetByWaiter.set(waiter, target)
    target.waiters ??= []
    target.waiters.push(waiter)
  }

  /** Remembered fates of this id; more than one when two sessions used it and no clerkId is given. */
  find(requestId: RequestId, clerkId: ClerkId | undefined): Resolution[] {
    const byClerk = this.#byRequestId.get(requestId)
    if (byClerk === undefined) return []
    if (clerkId === undefined) return [...byClerk.values()]
    const one = byClerk.get(clerkId)
    return one === undefined ? [] : [one]
  }

  withdraw(waiter: Call): Outcome {
    const target = this.#targetByWaiter.get(waiter)
    this.#targetByWaiter.delete(waiter)
    if (target?.waiters !== undefined) target.waiters = target.waiters.filter((each) => each !== waiter)
    return 'unknown'
  }

  lastWord(): string {
    return 'the fate of the request is not known yet'
  }

  #remember(clerkId: ClerkId, requestId: RequestId, resolution: Resolution): void {
    const kept = (resolution.reply?.length ?? 0) > MAX_KEPT_REPLY_BYTES ? { outcome: resolution.outcome } : resolution
    let byClerk = this.#byRequestId.get(requestId)
    if (byClerk === undefined) {
      byClerk = new Map()
      this.#byRequestId.set(requestId, byClerk)
    }
    byClerk.set(clerkId, kept)
    this.#order.push([requestId, clerkId])
    if (this.size <= MAX_FATES) return
    const [oldId, oldClerk] = this.#order[this.#oldest++]!
    const old = this.#byRequestId.get(oldId)
    old?.delete(oldClerk)
    if (old?.size === 0) this.#byRequestId.delete(oldId)
    if (this.#oldest < MAX_FATES) return
    this.#order.splice(0, this.#oldest)
    this.#oldest = 0
  }
}

/** The error for a requestId that two sessions have used. */
export function ambiguous(requestId: RequestId): CoppiceError {
  return new CoppiceError(
    `request ${requestId} was used by two sessions of this clerk: give the error, or its clerkId too`,
    {
      code: 'INVALID_ARGUMENT',
      outcome: 'not-applied',
      requestId,
    },
  )
}
