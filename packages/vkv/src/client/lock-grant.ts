// Waiting for a lock without asking: the change that gives a lock to a waiter has a topic of that waiter alone, which it watches.
import { Writer, type AbortSignalLike, type Index, type Millis } from '@coppice/protocol'
import type { ClerkLike, WatchHandle } from '@coppice/clerk/core'
import { CHANGE_LOCK_GRANTED, decodeLockChange, STREAM_LOCKS, writeLockTopic } from '../core/changes.js'
import { aborted } from './budget.js'
import type { Holding } from './held-lock.js'
import type { KvPorts } from './ports.js'

export interface Grant {
  readonly fence: Index
  /** The last one who held the lock did not release it. */
  readonly inherited: boolean
}

export interface Patience {
  /** Waits no longer than this, by the clerk's clock. */
  readonly until: Millis
  /** The caller's: aborting it rejects with an AbortError. */
  readonly signal: AbortSignalLike | undefined
  /** Aborted when the place in the queue has lapsed with its session. */
  readonly lapsed: AbortSignalLike
  /** Calls made so far, for the error. */
  readonly attempts: number
}

/**
 * The grant of a waiter that the entry before `from` found in the queue. undefined: the time is up, its place has lapsed, or the watch
 * could not go on; then it must ask again.
 */
export function grantOf(
  clerk: ClerkLike,
  ports: KvPorts,
  holding: Holding,
  from: Index,
  patience: Patience,
): Promise<Grant | undefined> {
  const { signal, lapsed } = patience
  if (signal?.aborted === true) return Promise.reject(aborted(clerk, signal, holding.what, patience.attempts))
  if (lapsed.aborted) return Promise.resolve(undefined)
  return new Promise((resolve, reject) => {
    const release = ports.hold?.()
    let done = false
    const finish = (settle: () => void): void => {
      if (done) return
      done = true
      cancel()
      signal?.removeEventListener('abort', onAbort)
      lapsed.removeEventListener('abort', onLapsed)
      release?.()
      // The watch may end within the call that begins it.
      watch?.close()
      settle()
    }
    const onAbort = (): void => finish(() => reject(aborted(clerk, signal, holding.what, patience.attempts)))
    const onLapsed = (): void => finish(() => resolve(undefined))
    const cancel = clerk.clock.after(Math.max(0, patience.until - clerk.clock.now()), onLapsed)
    signal?.addEventListener('abort', onAbort, { once: true })
    lapsed.addEventListener('abort', onLapsed, { once: true })
    const topic = new Writer(3 + holding.lock.length + holding.owner.length)
    writeLockTopic(topic, holding.lock, holding.owner)
    let watch: WatchHandle | undefined = undefined
    watch = clerk.watch(
      { stream: STREAM_LOCKS, topic: topic.take(), exact: true, from },
      {
        changes: (batch) => {
          for (const change of batch) {
            if (change.kind !== CHANGE_LOCK_GRANTED) continue
            const { fence, inherited } = decodeLockChange(change.payload)
            return finish(() => resolve({ fence, inherited }))
          }
        },
        end: onLapsed,
      },
    )
    if (done) watch.close()
  })
}
