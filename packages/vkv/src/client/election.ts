// Elections (PRODUCT SDK): the leader is who holds the lock of that name; what it says of itself stands with the lock. Candidates wait in the
// lock's queue, observers are told by the changes of the lock.
import { type CoppiceError, EMPTY_BYTES, Writer, type AbortSignalLike, type Index } from '@coppice/protocol'
import type { ClerkLike, WatchHandle } from '@coppice/clerk/core'
import { CHANGE_LOCK_HELD, CHANGE_LOCK_LEFT, CHANGE_LOCK_QUEUED, decodeLockChange } from '../core/changes.js'
import { STREAM_LOCKS, writeLockTopic } from '../core/changes.js'
import { decodeLock } from '../core/lock-record.js'
import { encodeRange, TABLE_LOCKS } from '../core/queries.js'
import { decodeRangeReply } from '../core/replies.js'
import { aborted, Budget, pause, type Options } from './budget.js'
import { checkText, nameBytes } from './codecs.js'
import type { HeldLock } from './held-lock.js'
import { checkOptions, KNOWN } from './known-options.js'
import type { Kv } from './kv.js'
import { acquireLock, type LockOptions } from './lock.js'
import type { KvPorts } from './ports.js'

/** Of a campaign. */
export interface ElectOptions extends LockOptions {
  /** What the leader says of itself to those who ask who leads; up to 1 KiB. */
  readonly value?: string | undefined
}

/** Who leads. */
export interface Leader {
  /** The fence of its leadership: grows from leader to leader. */
  readonly token: Index
  readonly value: string
}

/** A leadership that was won. It ends with `resign`, or is lost like a lock. */
export class Leadership {
  readonly lock: HeldLock
  readonly #ports: KvPorts

  constructor(lock: HeldLock, ports: KvPorts) {
    this.lock = lock
    this.#ports = ports
  }

  /** Grows from leader to leader. */
  get token(): Index {
    return this.lock.token
  }
  /** Aborted when the leadership is lost, before anybody else can lead, and when it ends. */
  get signal(): AbortSignalLike {
    return this.lock.signal
  }
  /** The store; every write through it is refused as FENCED, by the server, once another leads. */
  get kv(): Kv {
    return this.lock.kv
  }

  /** Says something else of this leader than the value it was elected with. */
  async proclaim(value: string, options?: Options): Promise<void> {
    checkText(value, 'value of a leader')
    return this.lock.say(this.#ports.text.encode(value), options)
  }

  /** Ends the leadership; the first candidate that waits becomes leader. */
  resign(options?: Options): Promise<void> {
    return this.lock.release(options)
  }
}

/** Becomes leader, or waits until it can. Errors as those of a lock. */
export async function elect(
  clerk: ClerkLike,
  ports: KvPorts,
  name: string | Uint8Array,
  options: ElectOptions = {},
): Promise<Leadership> {
  if (options.value !== undefined) checkText(options.value, 'value of a leader')
  const value = ports.text.encode(options.value ?? '')
  return new Leadership(await acquireLock(clerk, ports, name, options, value), ports)
}

/** Who leads; undefined: nobody, as far as the store knows. A leader that died leads until its ttl is over. */
export async function leaderOf(
  clerk: ClerkLike,
  ports: KvPorts,
  name: string | Uint8Array,
  options: Options = {},
): Promise<Leader | undefined> {
  checkOptions(options, KNOWN.call, 'leader')
  return (await readLeader(clerk, ports, lockName(ports, name), options)).leader
}

/** With the index from which on changes are not in the answer yet. */
async function readLeader(
  clerk: ClerkLike,
  ports: KvPorts,
  lock: Uint8Array,
  options: Options,
): Promise<{ readonly leader: Leader | undefined; readonly minIndex: Index }> {
  // Of all names that begin with it, the name itself is the first.
  const query = encodeRange({ table: TABLE_LOCKS, prefix: lock, after: EMPTY_BYTES, limit: 1 })
  const { bytes, minIndex } = await clerk.readAnswer(query, new Budget(clerk, ports, options).next('leader'))
  const entry = decodeRangeReply(bytes).entries[0]
  if (entry === undefined || entry.key.length !== lock.length) return { leader: undefined, minIndex }
  const { fence, granted, value } = decodeLock(entry.value)
  // A waiter that was given the lock leads once it has confirmed.
  const leads = fence !== 0 && !granted
  return { leader: leads ? { token: fence, value: ports.text.decode(value) } : undefined, minIndex }
}

/** After a watch that ended: so that no failure is repeated without pause. */
const AGAIN_MS = 100

/**
 * Who leads, now and from now on: yields whenever that changes, undefined for nobody. Changes that come faster than they are taken are
 * left out, the last one never. Ends by the signal (with an AbortError) or when its consumer stops. `timeout`: until the first answer.
 */
export async function* observeLeader(
  clerk: ClerkLike,
  ports: KvPorts,
  name: string | Uint8Array,
  options: Options = {},
): AsyncGenerator<Leader | undefined, void, undefined> {
  checkOptions(options, KNOWN.call, 'observe')
  const news = new News(clerk, ports, lockName(ports, name), options)
  let told: Leader | undefined | null = null
  try {
    for (;;) {
      const leader = await news.next()
      if (told !== null && told?.token === leader?.token && told?.value === leader?.value) continue
      told = leader
      yield leader
    }
  } finally {
    news.close()
  }
}

/** The newest of what is known, from a watch that began before the first read. */
class News {
  readonly #clerk: ClerkLike
  readonly #ports: KvPorts
  readonly #lock: Uint8Array
  readonly #signal: AbortSignalLike | undefined
  readonly #onAbort = (): void => this.#wake()
  #watch: WatchHandle | undefined
  /** null: nothing new. */
  #news: Leader | undefined | null = null
  /** Of the change that `#news` is from. */
  #newsIndex: Index = 0
  /** Changes before this index are in what was read. */
  #from: Index = 0
  #state: 'begin' | 'synced' | 'on' = 'begin'
  #wake: () => void = () => undefined
  #failure: CoppiceError | undefined
  /** Until the first answer. */
  #beginning: Budget | undefined
  readonly #cancelLate: () => void
  /** The first answer's time is up; the timer says so, for it may be early by the clock. */
  #late = false

  constructor(clerk: ClerkLike, ports: KvPorts, lock: Uint8Array, options: Options) {
    this.#clerk = clerk
    this.#ports = ports
    this.#lock = lock
    this.#beginning = new Budget(clerk, ports, options)
    const { timeoutMs } = this.#beginning.next('observe')
    this.#cancelLate = clerk.clock.after(timeoutMs!, () => {
      this.#late = true
      this.#wake()
    })
    this.#signal = options.signal
    this.#signal?.addEventListener('abort', this.#onAbort)
  }

  close(): void {
    this.#cancelLate()
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#watch?.close()
    this.#watch = undefined
  }

  async next(): Promise<Leader | undefined> {
    const leader = await this.#newest()
    this.#cancelLate()
    this.#beginning = undefined
    return leader
  }

  async #newest(): Promise<Leader | undefined> {
    for (;;) {
      if (this.#signal?.aborted === true) throw aborted(this.#clerk, this.#signal, 'observe', 0)
      if (this.#late && this.#beginning !== undefined) throw this.#beginning.timedOut('observe')
      if (this.#failure !== undefined) {
        // A gap, or servers that refuse for now: begin anew with a read. A client that was closed stays so.
        if (this.#failure.code === 'CLOSED') throw this.#failure
        this.#failure = undefined
        this.#state = 'begin'
        await pause(this.#clerk, this.#ports.hold, AGAIN_MS, this.#signal, 'observe')
        continue // the time may be up
      }
      if (this.#watch === undefined) this.#begin()
      if (this.#state === 'synced') {
        this.#state = 'on'
        const options = this.#beginning?.rest('observe') ?? { signal: this.#signal }
        const { leader, minIndex } = await readLeader(this.#clerk, this.#ports, this.#lock, options)
        this.#from = minIndex
        if (this.#news === null || this.#newsIndex < minIndex) {
          this.#news = null
          return leader
        }
      }
      if (this.#state === 'on' && this.#news !== null) {
        const news = this.#news
        this.#news = null
        return news
      }
      const release = this.#ports.hold?.()
      await new Promise<void>((resolve) => (this.#wake = resolve))
      release?.()
    }
  }

  #begin(): void {
    const topic = new Writer(3 + this.#lock.length)
    writeLockTopic(topic, this.#lock, EMPTY_BYTES)
    this.#watch = this.#clerk.watch(
      { stream: STREAM_LOCKS, topic: topic.take(), exact: false, from: 0 },
      {
        changes: (batch) => {
          let bytes = 0
          for (const change of batch) {
            bytes += change.size
            if (change.index < this.#from || !changesHolder(change.kind)) continue
            const { fence, value } = decodeLockChange(change.payload)
            const leads = change.kind === CHANGE_LOCK_HELD
            this.#newsIndex = change.index
            this.#news = leads ? { token: fence, value: this.#ports.text.decode(value) } : undefined
          }
          this.#watch?.consumed(bytes)
          this.#wake()
        },
        synced: () => {
          if (this.#state === 'begin') this.#state = 'synced'
          this.#wake()
        },
        end: (error) => {
          this.#failure = error
          this.#watch = undefined
          this.#wake()
        },
      },
    )
  }
}

/** Not that somebody came or went in the queue. */
function changesHolder(kind: number): boolean {
  return kind !== CHANGE_LOCK_QUEUED && kind !== CHANGE_LOCK_LEFT
}

function lockName(ports: KvPorts, name: string | Uint8Array): Uint8Array {
  return nameBytes(name, 'election name', ports.text)
}
