// What a lock's own changes say, judged as they come (PROTOCOL 9): fences only grow, the lock goes to whoever has waited longest, nobody is
// given a lock that another has, and a waiter that went is given nothing.
import {
  CHANGE_LOCK_FREE,
  CHANGE_LOCK_GRANTED,
  CHANGE_LOCK_HELD,
  CHANGE_LOCK_LEFT,
  CHANGE_LOCK_QUEUED,
  decodeLockChange,
} from '@coppice/vkv/internal'
import { check } from '../kernel/violation.js'

/** What is known of one lock from its changes; a contradiction is a violation. */
export class LockJournal {
  readonly #lock: string
  /** Who waits, the longest first. */
  readonly #queue: string[] = []
  /** Who was given the lock last and has not lost it since. */
  #owner: string | undefined
  #fence = 0
  /** Some changes were not told: there may be an owner, and waiters, of which nothing is known. */
  #gap = false
  #ownerUnknown = false
  /** Times that the lock went from one to a waiter. */
  grants = 0
  /** Places that went without a grant. */
  lefts = 0

  constructor(lock: string) {
    this.#lock = lock
  }

  /** Changes were dropped before they could be told. */
  gap(): void {
    this.#gap = true
    this.#ownerUnknown = true
    this.#owner = undefined
    this.#queue.length = 0
  }

  /** One change, in the order of the log. `owner` names one attempt. */
  add(index: number, kind: number, owner: string, payload: Uint8Array): void {
    switch (kind) {
      case CHANGE_LOCK_QUEUED:
        check(!this.#queue.includes(owner), 'lock', () => `${this.#lock}: ${owner} has a second place at ${index}`)
        this.#queue.push(owner)
        return
      case CHANGE_LOCK_LEFT:
        this.#goes(owner, index, 'left')
        this.lefts++
        return
      case CHANGE_LOCK_GRANTED: {
        // Who stood in the queue before a gap came before all that are known.
        check(this.#queue[0] === owner || (this.#gap && !this.#queue.includes(owner)), 'lock', () => {
          return `${this.#lock} was given to ${owner} at ${index}, while ${this.#queue[0] ?? 'nobody'} had waited longest`
        })
        this.#goes(owner, index, 'was given the lock')
        this.grants++
        return this.#given(index, owner, payload)
      }
      case CHANGE_LOCK_HELD: {
        const { fence } = decodeLockChange(payload)
        // A grant was confirmed, or a holder has said something new of itself.
        if (owner === this.#owner && fence === this.#fence) return
        if (this.#ownerUnknown && fence < index) {
          this.#fence = Math.max(this.#fence, fence)
          this.#owner = owner
          this.#ownerUnknown = false
          return
        }
        check(this.#owner === undefined && this.#queue.length === 0, 'lock', () => {
          return `${owner} took ${this.#lock} at ${index}, which ${this.#owner ?? 'nobody'} had and ${this.#queue.length} waited for`
        })
        return this.#given(index, owner, payload)
      }
      case CHANGE_LOCK_FREE:
        check(owner === this.#owner || this.#ownerUnknown, 'lock', () => {
          return `${this.#lock} is free of ${owner} at ${index}, who had not got it`
        })
        this.#owner = undefined
        this.#ownerUnknown = false
        return
      default:
        check(false, 'lock', () => `${this.#lock}: a change of kind ${kind} at ${index}`)
    }
  }

  /** A write guarded by this fence was done at `index`. */
  written(index: number, fence: number): void {
    check(this.#owner !== undefined && fence === this.#fence, 'lock', () => {
      const now = this.#owner === undefined ? 'nobody had it' : `it had fence ${this.#fence}`
      return `a write with fence ${fence} of ${this.#lock} was done at ${index}, when ${now}`
    })
  }

  #given(index: number, owner: string, payload: Uint8Array): void {
    const { fence } = decodeLockChange(payload)
    check(fence === index && fence > this.#fence, 'lock', () => {
      return `${this.#lock} was given to ${owner} with fence ${fence} at ${index}, after fence ${this.#fence}`
    })
    this.#fence = fence
    this.#owner = owner
    this.#ownerUnknown = false
  }

  #goes(owner: string, index: number, what: string): void {
    const at = this.#queue.indexOf(owner)
    if (at < 0 && this.#gap) return
    check(at >= 0, 'lock', () => `${this.#lock}: ${owner} ${what} at ${index} without a place`)
    this.#queue.splice(at, 1)
  }
}
