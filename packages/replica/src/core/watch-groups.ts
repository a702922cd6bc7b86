// Who wants which changes: watchers of one topic, or of one prefix, form a group. A change finds its groups by one look-up for its topic and one
// for each length of prefix that anybody watches, however many watchers there are; what a group is told is put together once.
import {
  CHANGE_HEADER_BYTES,
  changeStream,
  changeTopicEnd,
  FRAGMENT_BYTES,
  WATCH_BATCH_BYTES,
  Writer,
} from '@coppice/protocol'
import type { BytesPort, ConnectionId, Index, Ops } from '@coppice/protocol'
import type { Position } from './change-log.js'

export class Watch {
  readonly connection: ConnectionId
  readonly watchId: number
  readonly group: WatchGroup
  /** All its changes below are told; of this entry, perhaps the first ones. */
  next: Index
  /** The same as a place in the change log; its own while it is behind. */
  at: Position = 0
  /** Bytes that may be sent to it; one message may go beyond. */
  credit: number
  /** Bytes sent and not consumed. */
  underWay = 0
  /** Ahead: begins above what was looked at. Live: told of what is new. Behind: is served from the log. Blocked: has no credit. */
  state: 'ahead' | 'live' | 'behind' | 'blocked' = 'ahead'

  constructor(connection: ConnectionId, watchId: number, group: WatchGroup, next: Index, credit: number) {
    this.connection = connection
    this.watchId = watchId
    this.group = group
    this.next = next
    this.credit = credit
  }
}

export interface WatchGroup {
  readonly key: string
  readonly stream: number
  readonly exact: boolean
  readonly topic: Uint8Array
  readonly live: Set<Watch>
  /** All its watchers. */
  members: number
  /** What its live ones are to be told. */
  batch: Writer | undefined
  /** The same, of one large change, where it lies. */
  large: Ops | undefined
}

/** The groups of one stream. */
interface StreamGroups {
  readonly exact: Map<string, WatchGroup>
  readonly prefixes: Map<string, WatchGroup>
  /** How many prefixes there are of each length, shortest first. */
  lengths: { readonly length: number; count: number }[]
}

/** Whether a group wants the change at `start`. */
export function isOf(group: WatchGroup, b: Uint8Array, start: number): boolean {
  if (changeStream(b, start) !== group.stream) return false
  const { topic } = group
  const at = start + CHANGE_HEADER_BYTES
  const length = changeTopicEnd(b, start) - at
  if (group.exact ? length !== topic.length : length < topic.length) return false
  for (let i = 0; i < topic.length; i++) if (b[at + i] !== topic[i]) return false
  return true
}

export class WatchGroups {
  readonly #bytes: BytesPort
  readonly #byStream = new Map<number, StreamGroups>()
  #touched: WatchGroup[] = []
  readonly #matched: WatchGroup[] = []
  /** A large change goes alone. */
  #full = false

  constructor(bytes: BytesPort) {
    this.#bytes = bytes
  }

  /** The group of those who watch this; the bytes of the topic are copied. */
  join(stream: number, exact: boolean, topic: Uint8Array): WatchGroup {
    let groups = this.#byStream.get(stream)
    if (groups === undefined) {
      groups = { exact: new Map(), prefixes: new Map(), lengths: [] }
      this.#byStream.set(stream, groups)
    }
    const key = this.#bytes.latin1(topic, 0, topic.length)
    const byKey = exact ? groups.exact : groups.prefixes
    let group = byKey.get(key)
    if (group === undefined) {
      group = {
        key,
        stream,
        exact,
        topic: topic.slice(),
        live: new Set(),
        members: 0,
        batch: undefined,
        large: undefined,
      }
      byKey.set(key, group)
      if (!exact) addLength(groups, topic.length)
    }
    group.members++
    return group
  }

  /** One of its watchers is gone. */
  leave(group: WatchGroup): void {
    if (--group.members > 0) return
    const groups = this.#byStream.get(group.stream)!
    if (group.exact) groups.exact.delete(group.key)
    else {
      groups.prefixes.delete(group.key)
      const entry = groups.lengths.find(({ length }) => length === group.topic.length)!
      if (--entry.count === 0) groups.lengths = groups.lengths.filter((each) => each !== entry)
    }
    if (groups.exact.size + groups.prefixes.size === 0) this.#byStream.delete(group.stream)
  }

  /** Adds the change in [start, end) to what its live watchers are to be told; false: what was gathered must be taken before. */
  add(b: Uint8Array, start: number, end: number): boolean {
    if (this.#full) return false
    const matched = this.#match(b, start)
    if (matched.length === 0) return true
    const bytes = end - start
    for (const { batch } of matched) if (batch !== undefined && batch.length + bytes > WATCH_BATCH_BYTES) return false
    this.#full = bytes > FRAGMENT_BYTES
    for (const group of matched) {
      if (group.batch === undefined) this.#touched.push(group)
      group.batch ??= new Writer(256)
      if (this.#full) group.large = { buffer: b, start, end }
      else group.batch.rawRange(b, start, end)
    }
    return true
  }

  /** The groups that have something to be told; what it is comes from `takeBatch`. */
  takeTouched(): readonly WatchGroup[] {
    const touched = this.#touched
    this.#touched = []
    this.#full = false
    return touched
  }

  #match(b: Uint8Array, start: number): readonly WatchGroup[] {
    const matched = this.#matched
    matched.length = 0
    const groups = this.#byStream.get(changeStream(b, start))
    if (groups === undefined) return matched
    const topic = this.#bytes.latin1(b, start + CHANGE_HEADER_BYTES, changeTopicEnd(b, start))
    const exact = groups.exact.get(topic)
    if (exact !== undefined && exact.live.size > 0) matched.push(exact)
    for (const { length } of groups.lengths) {
      if (length > topic.length) break
      const group = groups.prefixes.get(topic.slice(0, length))
      if (group !== undefined && group.live.size > 0) matched.push(group)
    }
    return matched
  }
}

/** What a group is to be told; the bytes are the receiver's. */
export function takeBatch(group: WatchGroup): Ops {
  const { batch, large } = group
  group.batch = group.large = undefined
  return large ?? { buffer: batch!.buffer, start: 0, end: batch!.length }
}

function addLength(groups: StreamGroups, length: number): void {
  const known = groups.lengths.find((each) => each.length === length)
  if (known !== undefined) {
    known.count++
    return
  }
  groups.lengths = [...groups.lengths, { length, count: 1 }].sort((a, b) => a.length - b.length)
}
