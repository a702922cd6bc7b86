// Watches: every committed change of a topic once, in order, whatever becomes of replicas, links and epochs. All watches of a clerk are
// served by one replica; when that one is lost each goes on at another from where it was. Nothing is polled.
import {
  CompactedError,
  MAX_TOPIC_BYTES,
  MAX_WATCH_WINDOW_BYTES,
  MAX_WATCHES_PER_CONNECTION,
  readChanges,
  WATCH_CREDIT_BYTES,
  WATCH_WINDOW_BYTES,
} from '@coppice/protocol'
import type { Change, ChangesMessage, Clock, CoppiceError, Index, Random, WatchEndMessage } from '@coppice/protocol'
import type { WatchFilter, WatchHandle, WatchHandler } from './api.js'
import { Avoided } from './avoided.js'
import { refusedCall } from './failures.js'
import type { Member, ReplicaLink } from './members.js'
import { ReplicaChoice } from './replica-choice.js'
import type { Routing } from './routing.js'

const AVOID_BASE_MS = 10
/** Consumed bytes are told in portions of this part of the window, or of WATCH_CREDIT_BYTES. */
const CREDIT_PART = 1 / 4
/** A watch that every member refused so often will not be served. */
const MAX_REFUSALS_PER_MEMBER = 3

export interface WatchesPorts {
  readonly clock: Clock
  readonly random: Random
  readonly routing: Routing
  readonly schedule: () => void
  readonly zone: string
}

interface OpenWatch {
  readonly id: number
  readonly filter: WatchFilter
  readonly handler: WatchHandler
  readonly windowBytes: number
  /** Where it goes on at another replica; 0: from now on. Everything below was handed out, */
  next: Index
  /** and so many changes of entry `next` itself. */
  partial: number
  /** Changes of entry `next` that come again after it was begun anew. */
  skip: number
  /** Where it is served; undefined: it waits for a replica. */
  link: ReplicaLink | undefined
  /** Bytes handed out and not consumed. */
  outstanding: number
  /** Consumed bytes that the replica was not told of. */
  consumed: number
  /** Refusals in a row for load. */
  refusals: number
}

export class Watches {
  readonly #ports: WatchesPorts
  readonly #avoided: Avoided
  readonly #choice: ReplicaChoice
  readonly #byId = new Map<number, OpenWatch>()
  readonly #waiting = new Set<OpenWatch>()
  #nextId = 1
  #cancelRetry: (() => void) | undefined = undefined

  constructor(ports: WatchesPorts) {
    this.#ports = ports
    this.#avoided = new Avoided(ports.clock, ports.random)
    this.#choice = new ReplicaChoice(ports, this.#avoided)
  }

  /** None waits for a replica. */
  get idle(): boolean {
    return this.#waiting.size === 0
  }
  get size(): number {
    return this.#byId.size
  }

  open(filter: WatchFilter, handler: WatchHandler): WatchHandle {
    const { topic } = filter
    if (topic.length > MAX_TOPIC_BYTES)
      throw refusedCall('TOO_LARGE', `a topic of ${topic.length} bytes is above the limit of ${MAX_TOPIC_BYTES}`)
    if (this.#byId.size >= MAX_WATCHES_PER_CONNECTION)
      throw refusedCall('OVERLOADED', `this clerk has ${MAX_WATCHES_PER_CONNECTION} watches already`)
    const watch: OpenWatch = {
      id: this.#nextId++,
      filter: { ...filter, topic: topic.slice() },
      handler,
      windowBytes: Math.min(filter.windowBytes ?? WATCH_WINDOW_BYTES, MAX_WATCH_WINDOW_BYTES),
      next: filter.from ?? 0,
      partial: 0,
      skip: 0,
      link: undefined,
      outstanding: 0,
      consumed: 0,
      refusals: 0,
    }
    this.#byId.set(watch.id, watch)
    this.#waiting.add(watch)
    this.#ports.schedule()
    return { close: () => this.#close(watch), consumed: (bytes) => this.#onConsumed(watch, bytes) }
  }

  /** Begins what waits at a replica that can be asked. */
  flush(): void {
    if (this.#waiting.size === 0) return
    const link = this.#choice.replica()?.link
    if (link === undefined) return this.#maybeRetryLater()
    for (const watch of this.#waiting) this.#begin(watch, link)
    this.#waiting.clear()
  }

  onChanges(member: Member, message: ChangesMessage): void {
    const watch = this.#served(member, message.watchId)
    if (watch === undefined) return
    this.#avoided.forgive(member.id)
    watch.refusals = 0
    const { next } = message
    const { buffer, start, end } = message.changes
    if (start === end) {
      this.#advance(watch, next, 0)
      watch.handler.synced?.(next)
      return
    }
    const changes = readChanges(buffer, start, end)
    const repeated = Math.min(watch.skip, countOf(changes, watch.next))
    watch.skip = next === watch.next ? watch.skip - repeated : 0
    const fresh = repeated === 0 ? changes : changes.slice(repeated)
    this.#advance(watch, next, countOf(fresh, next))
    const freshBytes = sizeOf(fresh)
    watch.outstanding += freshBytes
    watch.consumed += end - start - freshBytes
    if (fresh.length > 0) watch.handler.changes(fresh, next)
  }

  onEnd(member: Member, message: WatchEndMessage): void {
    const watch = this.#served(member, message.watchId)
    if (watch === undefined) return
    const { reason, floor } = message
    if (reason === 'compacted') return this.#end(watch, new CompactedError(watch.next, floor))
    if (reason === 'overloaded' && ++watch.refusals > this.#mostRefusals)
      return this.#end(watch, refusedCall('OVERLOADED', 'every replica has as many watches as it takes'))
    this.#avoided.add(member.id, AVOID_BASE_MS)
    // It may know of nobody else: there may be a newer configuration.
    if (reason === 'moved') this.#ports.routing.onSilent(member, false)
    this.#wait(watch)
  }

  /** Links have changed: who was served on one that is gone goes on elsewhere. */
  onChange(): void {
    for (const watch of this.#byId.values()) if (watch.link?.open === false) this.#wait(watch)
    if (this.#waiting.size > 0) this.#ports.schedule()
  }

  /** No replica will ever serve this client, or the clerk is closed. */
  endAll(error: () => CoppiceError): void {
    for (const watch of [...this.#byId.values()]) this.#end(watch, error())
  }

  close(): void {
    this.#cancelRetry?.()
    this.#cancelRetry = undefined
  }

  get #mostRefusals(): number {
    return MAX_REFUSALS_PER_MEMBER * (this.#ports.routing.configuration?.members.length ?? 1)
  }

  #served(member: Member, id: number): OpenWatch | undefined {
    const watch = this.#byId.get(id)
    return watch?.link !== undefined && watch.link === member.link ? watch : undefined
  }

  #begin(watch: OpenWatch, link: ReplicaLink): void {
    const { stream, exact, topic } = watch.filter
    watch.link = link
    watch.skip = watch.partial
    watch.consumed = 0
    const credit = Math.max(0, watch.windowBytes - watch.outstanding)
    link.send({ kind: 'watch', watchId: watch.id, stream, exact, topic, from: watch.next, credit })
  }

  #advance(watch: OpenWatch, next: Index, ofNext: number): void {
    watch.partial = next === watch.next ? watch.partial + ofNext : ofNext
    watch.next = next
  }

  #onConsumed(watch: OpenWatch, bytes: number): void {
    const { link } = watch
    watch.outstanding = Math.max(0, watch.outstanding - bytes)
    watch.consumed += bytes
    if (
      watch.consumed < Math.min(watch.windowBytes * CREDIT_PART, WATCH_CREDIT_BYTES) ||
      link === undefined ||
      !this.#byId.has(watch.id)
    )
      return
    link.send({ kind: 'credit', watchId: watch.id, bytes: watch.consumed })
    watch.consumed = 0
  }

  #wait(watch: OpenWatch): void {
    watch.link = undefined
    this.#waiting.add(watch)
    this.#ports.schedule()
  }

  #close(watch: OpenWatch): void {
    if (!this.#forget(watch)) return
    if (watch.link?.open === true) watch.link.send({ kind: 'unwatch', watchId: watch.id })
  }

  #end(watch: OpenWatch, error: CoppiceError): void {
    if (this.#forget(watch)) watch.handler.end(error)
  }

  #forget(watch: OpenWatch): boolean {
    this.#waiting.delete(watch)
    return this.#byId.delete(watch.id)
  }

  // What waits because replicas are avoided goes when the first of these may be asked again.
  #maybeRetryLater(): void {
    if (this.#cancelRetry !== undefined) return
    const waitMs = this.#avoided.untilNextMs()
    if (waitMs === Infinity) return
    this.#cancelRetry = this.#ports.clock.after(waitMs, () => {
      this.#cancelRetry = undefined
      this.#ports.schedule()
    })
  }
}

function countOf(changes: readonly Change[], index: Index): number {
  let count = 0
  for (const change of changes) if (change.index === index) count++
  return count
}

function sizeOf(changes: readonly Change[]): number {
  let bytes = 0
  for (const { size } of changes) bytes += size
  return bytes
}
