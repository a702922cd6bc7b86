// AbortSignal for places without one: portable code must not assume the web platform's classes.
import type { AbortSignalLike } from '@coppice/protocol'
import type { AbortHandle } from './ports.js'

class PlainSignal implements AbortSignalLike {
  aborted = false
  reason: unknown = undefined
  readonly #listeners = new Set<() => void>()

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.add(listener)
  }
  removeEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.delete(listener)
  }
  abort(reason: unknown): void {
    if (this.aborted) return
    this.aborted = true
    this.reason = reason
    const listeners = [...this.#listeners]
    this.#listeners.clear()
    for (const listener of listeners) listener()
  }
}

export function plainAbort(): AbortHandle {
  const signal = new PlainSignal()
  return { signal, abort: (reason) => signal.abort(reason) }
}
