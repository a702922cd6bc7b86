// Watching keys (PRODUCT SDK): `for await (const event of kv.watch(prefix))`. Every committed change once and in order, through failovers and
// reconfigurations; who is slow to take them holds up nobody but itself.
import { CoppiceError, type Change, type Index } from '@coppice/protocol'
import type { ClerkLike, WatchHandle } from '@coppice/clerk/core'
import { CHANGE_DELETE, CHANGE_EXPIRE, CHANGE_PUT, STREAM_KEYS } from '../core/changes.js'
import { aborted, Budget, type Options } from './budget.js'
import type { KvPorts } from './ports.js'
import type { View } from './view.js'

/** Of a watch. `timeout`: until it has begun at some replica; from then on it goes on for as long as it takes. */
export interface WatchOptions extends Options {
  /** First index of interest: the `next` of an event, or the `index` of a page. Default: from now on. */
  readonly from?: Index | undefined
  /** Only this very key, not all that begin so. */
  readonly exact?: boolean | undefined
}

/** What happened to a key, or how far the watch has come. A watch that begins with `from: event.next` goes on behind the event. */
export type WatchEvent<K, V> =
  | {
      readonly type: 'put'
      readonly key: K
      readonly value: V
      /** Index of the operation that wrote it. */
      readonly version: Index
      /** Where to go on; an operation that changed several keys comes whole again if it was told in part. */
      readonly next: Index
    }
  | {
      /** `expire`: its ttl or its session ended. */
      readonly type: 'delete' | 'expire'
      readonly key: K
      readonly version: Index
      readonly next: Index
    }
  | {
      /** Everything committed below `next` was told: first when it has caught up, later seldom. */
      readonly type: 'sync'
      readonly next: Index
    }

/** Changes that were told and not taken. */
interface Batch {
  readonly changes: readonly Change[]
  readonly next: Index
  at: number
}
interface Waiter<T> {
  readonly resolve: (result: IteratorResult<T, undefined>) => void
  readonly reject: (error: unknown) => void
}

/**
 * A watch that has begun; leaving the loop, `return`, and aborting its signal end it. Ends with COMPACTED (a CompactedError: changes it wanted
 * are kept no more), ABORTED, TIMEOUT (it never began), CLOSED, OVERLOADED, or what a codec has to say of a stored value.
 */
export class Watch<K, V> implements AsyncIterableIterator<WatchEvent<K, V>, undefined> {
  readonly #view: View<K, V>
  readonly #hold: (() => () => void) | undefined
  readonly #waiters: Waiter<WatchEvent<K, V>>[] = []
  #batches: Batch[] = []
  /** Told behind everything in `#batches`. */
  #synced: Index | undefined = undefined
  #error: CoppiceError | undefined = undefined
  #over = false
  #handle: WatchHandle | undefined = undefined
  #release: (() => void) | undefined = undefined
  #end: () => void = () => undefined

  /**
   * Begins to watch.
   * @internal
   */
  constructor(clerk: ClerkLike, ports: KvPorts, view: View<K, V>, topic: Uint8Array, options: WatchOptions) {
    this.#view = view
    this.#hold = ports.hold
    const { signal } = options
    const { timeoutMs } = new Budget(clerk, ports, options).next('watch')
    const onAbort = (): void => this.#finish(aborted(clerk, signal, 'watch', 0))
    const cancel = clerk.clock.after(timeoutMs!, () =>
      this.#finish(
        new CoppiceError(`watch: no replica took it within ${Math.round(timeoutMs!)} ms`, {
          code: 'TIMEOUT',
          outcome: 'not-applied',
          retryable: true,
          epoch: clerk.configuration?.epoch,
        }),
      ),
    )
    this.#end = () => {
      cancel()
      signal?.removeEventListener('abort', onAbort)
      this.#handle?.close()
    }
    if (signal?.aborted === true) onAbort()
    else {
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#begin(clerk, topic, options, cancel)
    }
  }

  #begin(clerk: ClerkLike, topic: Uint8Array, { exact = false, from }: WatchOptions, onBegun: () => void): void {
    const handler = {
      changes: (changes: readonly Change[], next: Index): void => {
        onBegun()
        this.#told(changes, next)
      },
      synced: (next: Index): void => {
        onBegun()
        this.#synced = next
        this.#give()
      },
      end: (error: CoppiceError): void => this.#finish(error),
    }
    try {
      this.#handle = clerk.watch({ stream: STREAM_KEYS, topic, exact, from }, handler)
    } catch (error) {
      // It is closed, or has too many watches: whoever asks for the first event hears so.
      this.#finish(error as CoppiceError)
    }
  }

  next(): Promise<IteratorResult<WatchEvent<K, V>, undefined>> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject })
      this.#give()
    })
  }

  return(): Promise<IteratorResult<WatchEvent<K, V>, undefined>> {
    this.#finish(undefined)
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #told(changes: readonly Change[], next: Index): void {
    // What was synced is overtaken: it comes again.
    this.#synced = undefined
    this.#batches.push({ changes, next, at: 0 })
    this.#give()
  }

  /** It is over: nothing told before is given any more, the next who asks gets the error. */
  #finish(error: CoppiceError | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#error = error
    this.#batches = []
    this.#synced = undefined
    this.#end()
    this.#give()
  }

  #give(): void {
    while (this.#waiters.length > 0) {
      const waiter = this.#waiters[0]!
      if (this.#over) {
        this.#waiters.shift()
        const error = this.#error
        this.#error = undefined
        if (error === undefined) waiter.resolve({ done: true, value: undefined })
        else waiter.reject(error)
        continue
      }
      let event: WatchEvent<K, V> | undefined
      try {
        event = this.#take()
      } catch (error) {
        this.#waiters.shift()
        waiter.reject(error)
        this.#finish(undefined)
        continue
      }
      if (event === undefined) break
      this.#waiters.shift()
      waiter.resolve({ done: false, value: event })
    }
    const waits = this.#waiters.length > 0
    if (waits) this.#release ??= this.#hold?.()
    else {
      this.#release?.()
      this.#release = undefined
    }
  }

  /** The next event; undefined: nothing was told. */
  #take(): WatchEvent<K, V> | undefined {
    const batch = this.#batches[0]
    if (batch === undefined) {
      const next = this.#synced
      this.#synced = undefined
      return next === undefined ? undefined : { type: 'sync', next }
    }
    const change = batch.changes[batch.at++]!
    const following = batch.changes[batch.at]?.index ?? batch.next
    if (batch.at === batch.changes.length) this.#batches.shift()
    this.#handle?.consumed(change.size)
    const { index: version, topic } = change
    const next = Math.min(following, version + 1)
    const key = this.#view.userKey(topic)
    switch (change.kind) {
      case CHANGE_PUT:
        return { type: 'put', key, value: this.#view.decode(topic, change.payload), version, next }
      case CHANGE_DELETE:
        return { type: 'delete', key, version, next }
      case CHANGE_EXPIRE:
        return { type: 'expire', key, version, next }
      default:
        throw new CoppiceError(`watch: a change of kind ${change.kind} is not known here`, INTERNAL)
    }
  }
}

const INTERNAL = { code: 'INTERNAL', outcome: 'not-applied' } as const
