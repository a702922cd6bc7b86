// Processes that watch keys, some slow to consume, some that die and go on from where they were. In the end each must have been told every
// committed change of its topic once, in order, and nothing else.
import { CompactedError } from '@coppice/protocol'
import type { Change, CoppiceError, Index } from '@coppice/protocol'
import type { WatchHandle } from '@coppice/clerk/core'
import { STREAM_KEYS } from '@coppice/vkv/core'
import type { ClientHost } from '../hosts/client-host.js'
import { check } from '../kernel/violation.js'
import type { TrueChange } from '../oracle/changes.js'
import type { Workload } from './workload.js'

/** Of watchers that are slow: a few changes. */
const SMALL_WINDOW = 300

/** What one watcher was told without a gap. */
interface Watched {
  readonly topic: string
  readonly exact: boolean
  readonly windowBytes: number | undefined
  /** All changes from here on were told, … */
  from: Index
  /** … those below here, 0: it has not begun. */
  next: Index
  readonly told: TrueChange[]
  handle: WatchHandle | undefined
  host: ClientHost | undefined
}

export class WatchClients {
  readonly #workload: Workload
  readonly #watched: Watched[] = []
  #names = 0
  changes = 0
  /** Watchers that went on in another process. */
  resumptions = 0
  compactions = 0

  constructor(workload: Workload) {
    this.#workload = workload
  }

  start(): void {
    this.watch('', false)
    this.watch('r', false, SMALL_WINDOW)
    this.watch('r0', true)
    this.watch('r1', true, SMALL_WINDOW)
    this.#dieNowAndThen()
  }

  /** One more watcher, in a process of its own. */
  watch(topic: string, exact: boolean, windowBytes?: number, from: Index = 0): Watched {
    const begun = { handle: undefined, host: undefined }
    const watched = { topic, exact, windowBytes, from, next: from, told: [], ...begun }
    this.#watched.push(watched)
    this.#begin(watched)
    return watched
  }

  /** Whether everybody was told all of it. */
  haveAll(truth: readonly TrueChange[]): boolean {
    return this.#watched.every((w) => w.next > 0 && w.told.length >= wantedBy(w, truth).length)
  }

  /** Everybody was told all of `truth` below `end`, and nothing that is not in it: what ends by time may still end meanwhile. */
  checkAll(truth: readonly TrueChange[], end: Index): void {
    for (const w of this.#watched) {
      check(w.next > 0, 'watch', () => `the watcher of ${nameOf(w)} was never told how far it is`)
      const wanted = wantedBy(w, truth)
      const least = wanted.filter(({ index }) => index < end).length
      for (let i = 0; i < Math.max(least, w.told.length); i++) {
        const should = wanted[i]
        const is = w.told[i]
        check(should !== undefined && is !== undefined && textOf(should) === textOf(is), 'watch', () => {
          return `the watcher of ${nameOf(w)} from ${w.from} on was told ${textOf(is)} where ${textOf(should)} follows`
        })
      }
    }
  }

  #begin(w: Watched): void {
    const { host, clerk } = this.#workload.connect(`watcher${++this.#names}`)
    w.host = host
    const { bytes } = this.#workload.cluster
    const topic = new Uint8Array(w.topic.length)
    bytes.writeLatin1(topic, w.topic, 0)
    const consume = (batch: readonly Change[]): void => {
      let size = 0
      for (const change of batch) size += change.size
      w.handle?.consumed(size)
    }
    const handler = {
      changes: (batch: readonly Change[], next: Index): void => {
        check(next >= w.next, 'watch', () => `the watcher of ${nameOf(w)} went back from ${w.next} to ${next}`)
        if (w.next === 0) w.from = batch[0]!.index
        w.next = next
        this.changes += batch.length
        for (const change of batch) w.told.push(asTold(change, bytes.latin1.bind(bytes)))
        if (w.windowBytes === undefined) consume(batch)
        else host.clock.after(host.random.between(0, 200), () => consume(batch))
      },
      synced: (next: Index): void => {
        check(next >= w.next, 'watch', () => `the watcher of ${nameOf(w)} went back from ${w.next} to ${next}`)
        if (w.next === 0) w.from = next
        w.next = next
      },
      end: (error: CoppiceError): void => {
        check(error instanceof CompactedError, 'watch', () => `the watch of ${nameOf(w)} ended: ${error.message}`)
        const { floor } = error as CompactedError
        check(floor > w.next, 'watch', () => `${nameOf(w)} at ${w.next} was told of a gap, and the floor is ${floor}`)
        this.compactions++
        w.told.length = 0
        w.from = w.next = floor
        w.handle = clerk.watch(filter(), handler)
      },
    }
    const filter = () => ({
      stream: STREAM_KEYS,
      topic,
      exact: w.exact,
      from: w.next,
      ...(w.windowBytes === undefined ? {} : { windowBytes: w.windowBytes }),
    })
    host.run(() => {
      w.handle = clerk.watch(filter(), handler)
    })
  }

  /** Some process dies; another one goes on with what it had noted. */
  #dieNowAndThen(): void {
    const { kernel, random } = this.#workload.cluster
    const w = this.watch('n', false)
    const next = (): void => {
      kernel.after(random.between(200, 1_500), () => {
        if (this.#workload.stopping) return
        w.host?.crash()
        this.resumptions++
        // Of an entry that was told in part it hears again.
        while (w.told.length > 0 && w.told.at(-1)!.index >= w.next) w.told.pop()
        this.#begin(w)
        next()
      })
    }
    next()
  }
}

function wantedBy(w: Watched, truth: readonly TrueChange[]): readonly TrueChange[] {
  return truth.filter(({ index, stream, topic }) => {
    if (stream !== STREAM_KEYS || index < w.from) return false
    return w.exact ? topic === w.topic : topic.startsWith(w.topic)
  })
}

function asTold(c: Change, latin1: (b: Uint8Array, start: number, end: number) => string): TrueChange {
  const { index, stream, kind, topic, payload } = c
  return { index, stream, topic: latin1(topic, 0, topic.length), what: `${kind}:${latin1(payload, 0, payload.length)}` }
}

function nameOf({ topic, exact }: Watched): string {
  return exact ? topic : `${topic}*`
}

function textOf(c: TrueChange | undefined): string {
  return c === undefined ? 'nothing' : `${c.index} ${c.topic} ${c.what.slice(0, 40)}`
}
