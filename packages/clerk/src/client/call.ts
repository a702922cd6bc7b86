// One call of a user, from its beginning to its settlement; and the queue it waits in. Hot path: one object a call, linked into
// its queue and its deadline by its own fields, so that leaving either costs nothing.
import { EMPTY_BYTES } from '@coppice/protocol'
import type { AbortSignalLike, Millis, Outcome, RequestId } from '@coppice/protocol'
import type { Decode } from './api.js'
import type { DeadlineBucket } from './deadlines.js'
import { copyOut } from './run-builder.js'

/** Whoever works on a call: the session, the reads, a resolution. */
export interface CallOwner {
  /** The user no longer waits. Forget the call, or keep its id until its fate is known; say what is known of its outcome. */
  withdraw(call: Call): Outcome
  /** What the servers said last about such calls, for the error's message; '' when nothing. */
  lastWord(call: Call): string
}

type Resolve = (value: never) => void
type Reject = (error: unknown) => void

const nothing = (): void => undefined

export class Call {
  readonly owner: CallOwner
  /** The operation or query is [start, end) of it; dropped once no transmission can need it. */
  buffer: Uint8Array
  start: number
  end: number
  /** The operation's length stands in front of it, as in a frame. */
  framed = false
  /** Makes of the answer's bytes, where they lie, what the user gets. */
  decode: Decode<unknown, never> = copyOut
  /** The last argument of `decode`. */
  context: unknown = undefined
  resolve: Resolve
  reject: Reject
  /** requestId or readId; 0 until the call was put into a frame. */
  id: RequestId = 0
  /** Ids of earlier transmissions whose answers are still welcome (reads only). */
  earlierIds: number[] | undefined = undefined
  /** How often it was put into a frame. */
  attempts = 0
  /** Its promise is settled. */
  settled = false
  /** Its reader wants a ReadAnswer instead of bytes. */
  detailed = false
  /** Which of its owner's lanes it waits in (reads only). */
  lane = 0
  /** When and on which link it was sent last. */
  sentAt: Millis = 0
  link: unknown = undefined
  timeoutMs = 0
  signal: AbortSignalLike | undefined = undefined
  /** Resolutions that wait for this request's fate. */
  waiters: Call[] | undefined = undefined

  queue: CallQueue | undefined = undefined
  queueNext: Call | undefined = undefined
  queuePrevious: Call | undefined = undefined
  /** When it times out; known from the end of the turn in which it began (calls with the usual timeout only). */
  due: Millis = Infinity
  /** Where calls with another timeout wait for theirs. */
  bucket: DeadlineBucket | undefined = undefined
  dueNext: Call | undefined = undefined
  duePrevious: Call | undefined = undefined

  constructor(owner: CallOwner, buffer: Uint8Array, start: number, end: number, resolve: Resolve, reject: Reject) {
    this.owner = owner
    this.buffer = buffer
    this.start = start
    this.end = end
    this.resolve = resolve
    this.reject = reject
  }

  /** Bytes of the operation or query. */
  get size(): number {
    return this.end - this.start
  }

  /** Lets go of all that only its user needed. */
  release(): void {
    this.buffer = EMPTY_BYTES
    this.start = 0
    this.end = 0
    this.context = undefined
    this.resolve = nothing
    this.reject = nothing
  }
}

// The executor is shared: making a promise costs no closure of ours.
let takenResolve: Resolve = nothing
let takenReject: Reject = nothing
function take(resolve: Resolve, reject: Reject): void {
  takenResolve = resolve
  takenReject = reject
}

/** A promise and the call that will settle it; its operation is [start, end) of `buffer`. */
export function newCall<T>(
  owner: CallOwner,
  buffer: Uint8Array,
  start = 0,
  end = buffer.length,
): { promise: Promise<T>; call: Call } {
  const promise = new Promise<T>(take as (resolve: (value: T) => void, reject: Reject) => void)
  const call = new Call(owner, buffer, start, end, takenResolve, takenReject)
  takenResolve = nothing
  takenReject = nothing
  return { promise, call }
}

/** First in, first out; a call in the middle leaves at no cost. */
export class CallQueue {
  head: Call | undefined = undefined
  size = 0
  #tail: Call | undefined = undefined

  push(call: Call): void {
    call.queue = this
    call.queuePrevious = this.#tail
    if (this.#tail === undefined) this.head = call
    else this.#tail.queueNext = call
    this.#tail = call
    this.size++
  }

  remove(call: Call): void {
    if (call.queue !== this) return
    const { queuePrevious: previous, queueNext: next } = call
    if (previous === undefined) this.head = next
    else previous.queueNext = next
    if (next === undefined) this.#tail = previous
    else next.queuePrevious = previous
    call.queue = undefined
    call.queuePrevious = undefined
    call.queueNext = undefined
    this.size--
  }

  shift(): Call | undefined {
    const call = this.head
    if (call !== undefined) this.remove(call)
    return call
  }
}
