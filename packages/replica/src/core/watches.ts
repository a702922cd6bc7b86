// Watches of clerks at this replica: every committed change once, in order, to everybody who asked for its topic; nothing above the commit
// index leaves (I7). New changes are matched to watchers by maps of topics and prefixes and encoded once for all who want the same. Who falls
// behind, or begins in the past, catches up in bounded pieces; who does not consume costs no memory (credit).
import {
  CHANGE_LOG_BYTES,
  FRAGMENT_BYTES,
  MAX_WATCH_BYTES_UNDER_WAY,
  MAX_WATCH_WINDOW_BYTES,
  MAX_WATCHES,
  MAX_WATCHES_PER_CONNECTION,
  WATCH_BATCH_BYTES,
  WATCH_CREDIT_BYTES,
  Writer,
} from '@coppice/protocol'
import type {
  ConnectionId,
  CreditMessage,
  Index,
  Millis,
  Ops,
  UnwatchMessage,
  WatchEndReason,
  WatchMessage,
} from '@coppice/protocol'
import type { ChangeLog, Position, Visit } from './change-log.js'
import type { Lease } from './lease.js'
import type { Reporter } from './report.js'
import type { Shared } from './shared.js'
import { isOf, takeBatch, Watch, WatchGroups } from './watch-groups.js'
import type { WatchGroup } from './watch-groups.js'

/** Changes looked at in one go; then other inputs have their turn. */
const SCAN_BYTES = 1024 * 1024
/** Watchers that catch up, served in one go. */
const SERVED_AT_ONCE = 256
/** A watcher nobody wrote for is told how far it has come so seldom, ms, … */
const PROGRESS_EVERY_MS = 10_000
/** … or after so many bytes of others' changes: it must not fall behind what is kept. */
const PROGRESS_EVERY_BYTES = CHANGE_LOG_BYTES / 8
/** Reports without an answer after which a replica without a lease may be cut off. */
const MAX_UNANSWERED = 8
/** A replica that is in no running epoch, or may be cut off, for so long sends its watchers elsewhere, ms. */
const PATIENCE_MS = 3_000

const NOTHING: Ops = { buffer: new Uint8Array(0), start: 0, end: 0 }

/** What was read for one watcher that catches up, for the next one that wants the same. */
interface Piece {
  readonly group: WatchGroup
  readonly from: Position
  readonly to: Position
  readonly next: Index
  readonly changes: Ops
}

export class Watches {
  readonly #s: Shared
  readonly #lease: Lease
  readonly #reporter: Reporter
  readonly #log: ChangeLog
  readonly #groups: WatchGroups
  readonly #byConnection = new Map<ConnectionId, Map<number, Watch>>()
  #count = 0
  /** Watchers that are told of new changes as these are committed. */
  #live = 0
  /** All changes below were looked at for the live ones … */
  #head: Position = 0
  /** … and all entries below this index. */
  #headIndex: Index = 0
  /** More is committed than was looked at in one go. */
  #stoppedEarly = false
  /** Somebody began to watch since the last telling. */
  #hasNew = false
  /** Watchers that may be served changes below the head, in turn. */
  readonly #behind = new Set<Watch>()
  /** Watchers that begin above the head. */
  readonly #ahead = new Set<Watch>()
  /** Behind with credit, but too much is under way to all. */
  readonly #held = new Set<Watch>()
  #underWay = 0
  #progressAt: Millis = 0
  #progressFrom: Position = 0
  /** When this replica last was in a running epoch and not cut off. */
  #fineAt: Millis = 0

  constructor(shared: Shared, lease: Lease, reporter: Reporter) {
    this.#s = shared
    this.#lease = lease
    this.#reporter = reporter
    this.#log = shared.recovered.changes
    this.#groups = new WatchGroups(shared.bytes)
  }

  get size(): number {
    return this.#count
  }

  onWatch(connection: ConnectionId, m: WatchMessage): void {
    const s = this.#s
    this.#drop(connection, m.watchId)
    if (!this.#mayServe()) return this.#refuse(connection, m.watchId, 'moved')
    const own = this.#byConnection.get(connection) ?? new Map<number, Watch>()
    if (own.size >= MAX_WATCHES_PER_CONNECTION || this.#count >= MAX_WATCHES)
      return this.#refuse(connection, m.watchId, 'overloaded')
    if (this.#count === 0) this.#fineAt = this.#progressAt = s.now
    // Every acknowledged operation is below the end of any member's log.
    const next = m.from > 0 ? m.from : s.log.nextIndex
    const watch = new Watch(connection, m.watchId, this.#groups.join(m.stream, m.exact, m.topic), next, m.credit)
    this.#byConnection.set(connection, own.set(m.watchId, watch))
    this.#count++
    this.#ahead.add(watch)
    this.#hasNew = true
  }

  onUnwatch(connection: ConnectionId, m: UnwatchMessage): void {
    this.#drop(connection, m.watchId)
  }

  onCredit(connection: ConnectionId, m: CreditMessage): void {
    const watch = this.#byConnection.get(connection)?.get(m.watchId)
    // It ended meanwhile.
    if (watch === undefined) return
    watch.credit = Math.min(watch.credit + m.bytes, MAX_WATCH_WINDOW_BYTES)
    const consumed = Math.min(m.bytes, watch.underWay)
    watch.underWay -= consumed
    this.#underWay -= consumed
    if (watch.state === 'blocked' && watch.credit > 0) {
      this.#held.delete(watch)
      this.#fallBehind(watch, watch.at)
    }
  }

  clientGone(connection: ConnectionId): void {
    const own = this.#byConnection.get(connection)
    if (own === undefined) return
    this.#byConnection.delete(connection)
    for (const watch of own.values()) this.#forget(watch)
  }

  /** There is something to tell, once what this turn made has left. */
  get wantsTelling(): boolean {
    if (this.#count === 0) return false
    if (this.#behind.size > 0 || this.#hasNew || this.#stoppedEarly || this.#mayRelease) return true
    return this.#s.commitIndex > this.#headIndex
  }

  /** Tells what is committed, a bounded part of it. What is due was applied. */
  tell(): void {
    if (this.#count === 0) return
    this.#hasNew = false
    if (this.#mayRelease) {
      for (const watch of this.#held) this.#fallBehind(watch, watch.at)
      this.#held.clear()
    }
    this.#advance()
    this.#meet()
    this.#catchUp()
    if (this.#head - this.#progressFrom > PROGRESS_EVERY_BYTES) this.#tellProgress()
  }

  get wakeAt(): Millis {
    return this.#live > 0 && this.#head > this.#progressFrom ? this.#progressAt + PROGRESS_EVERY_MS : Infinity
  }

  tick(): void {
    if (this.#count === 0) return
    const { now } = this.#s
    if (now >= this.wakeAt) this.#tellProgress()
    if (this.#s.running && (this.#lease.valid(now) || this.#reporter.unanswered <= MAX_UNANSWERED)) this.#fineAt = now
    else if (now - this.#fineAt > PATIENCE_MS) this.#endAll()
  }

  /** After each step: a state that is replaced, and a replica that the group goes on without, tell nobody anything. */
  settle(): void {
    if (this.#count > 0 && (this.#s.reloading || this.#s.stateless || this.#isLeftOut())) this.#endAll()
  }

  #mayServe(): boolean {
    const s = this.#s
    const stuck = this.#count > 0 && s.now - this.#fineAt > PATIENCE_MS
    const cutOff = !this.#lease.valid(s.now) && this.#reporter.unanswered > MAX_UNANSWERED
    return s.activated && !s.reloading && !s.stateless && !this.#isLeftOut() && !stuck && !cutOff
  }

  #isLeftOut(): boolean {
    const s = this.#s
    return (s.configuration?.epoch ?? 0) > s.meta.epoch
  }

  get #mayRelease(): boolean {
    return this.#held.size > 0 && this.#underWay < MAX_WATCH_BYTES_UNDER_WAY
  }

  /** Moves the head over what was committed, and tells the live ones. */
  #advance(): void {
    const s = this.#s
    const log = this.#log
    const { commitIndex } = s
    if (this.#live === 0) {
      this.#head = log.seek(commitIndex)
      this.#headIndex = commitIndex
      this.#stoppedEarly = false
      this.#progressFrom = this.#head
      return
    }
    // More came in one go than is kept.
    if (this.#head < log.start) {
      for (const watch of this.#all()) if (watch.state === 'live') this.#compacted(watch)
      this.#head = log.start
    }
    let left = SCAN_BYTES
    for (let go = true; go && left > 0;) {
      const from = this.#head
      let full = false
      const to = log.scan(from, log.end, left, (chunk, start, end, index) => {
        if (index >= commitIndex) return false // I7: only what is committed leaves
        full = !this.#groups.add(chunk, start, end)
        return !full
      })
      this.#head = to
      left -= to - from
      // It stopped at a change that is not committed, or behind the last one.
      const done = to === log.end || (!full && log.indexAt(to) >= commitIndex)
      this.#headIndex = done ? commitIndex : log.indexAt(to)
      this.#stoppedEarly = !done
      this.#flush(from)
      go = full && to > from
    }
  }

  /** Sends what was gathered for each group from the changes between `from` and the head. */
  #flush(from: Position): void {
    for (const group of this.#groups.takeTouched()) {
      const changes = takeBatch(group)
      for (const watch of group.live) {
        if (this.#maySend(watch)) this.#send(watch, changes, this.#headIndex, this.#head)
        else this.#block(watch, from)
      }
    }
  }

  /** Those whose beginning the head has reached. */
  #meet(): void {
    for (const watch of this.#ahead) {
      if (this.#headIndex < watch.next) continue
      if (watch.next < this.#log.floor) {
        this.#compacted(watch)
        continue
      }
      this.#ahead.delete(watch)
      const at = this.#headIndex === watch.next ? this.#head : this.#log.seek(watch.next)
      if (at < this.#head) this.#fallBehind(watch, at)
      else this.#goLive(watch)
    }
  }

  /** Serves those who are behind, each one message in turn. */
  #catchUp(): void {
    let left = SCAN_BYTES
    let served = 0
    let piece: Piece | undefined
    for (const watch of this.#behind) {
      if (left <= 0 || served++ >= SERVED_AT_ONCE) return
      this.#behind.delete(watch)
      if (watch.at < this.#log.start) {
        this.#compacted(watch)
        continue
      }
      if (!this.#maySend(watch)) {
        this.#block(watch, watch.at)
        continue
      }
      if (piece?.group !== watch.group || piece.from !== watch.at) {
        piece = this.#read(watch.group, watch.at, left)
        left -= piece.to - piece.from
      }
      if (piece.changes.end > piece.changes.start) this.#send(watch, piece.changes, piece.next, piece.to)
      if (piece.to < this.#head) this.#fallBehind(watch, piece.to)
      else this.#goLive(watch)
    }
  }

  /** The next changes of a group, about one message of them. */
  #read(group: WatchGroup, from: Position, maxBytes: number): Piece {
    const out = new Writer(256)
    let large: Ops | undefined
    const visit: Visit = (chunk, start, end) => {
      if (large !== undefined || out.length >= WATCH_BATCH_BYTES) return false
      if (!isOf(group, chunk, start)) return true
      if (end - start > FRAGMENT_BYTES) {
        if (out.length > 0) return false
        large = { buffer: chunk, start, end }
      } else out.rawRange(chunk, start, end)
      return true
    }
    const to = this.#log.scan(from, this.#head, maxBytes, visit)
    const next = to < this.#head ? this.#log.indexAt(to) : this.#headIndex
    return { group, from, to, next, changes: large ?? { buffer: out.buffer, start: 0, end: out.length } }
  }

  #maySend(watch: Watch): boolean {
    if (watch.credit <= 0) return false
    // Less than a portion may have been consumed and not told yet: who waited for that would wait for ever.
    return watch.underWay < WATCH_CREDIT_BYTES || this.#underWay < MAX_WATCH_BYTES_UNDER_WAY
  }

  #send(watch: Watch, changes: Ops, next: Index, at: Position): void {
    const bytes = changes.end - changes.start
    watch.credit -= bytes
    watch.underWay += bytes
    this.#underWay += bytes
    watch.next = next
    watch.at = at
    const { connection, watchId } = watch
    this.#s.reply(connection, { kind: 'changes', watchId, epoch: this.#s.meta.epoch, next, changes })
  }

  /** It has caught up, and hears so. */
  #goLive(watch: Watch): void {
    watch.state = 'live'
    watch.group.live.add(watch)
    this.#live++
    this.#send(watch, NOTHING, this.#headIndex, this.#head)
  }

  #leaveLive(watch: Watch): void {
    if (watch.state !== 'live') return
    watch.group.live.delete(watch)
    this.#live--
  }

  #fallBehind(watch: Watch, at: Position): void {
    watch.state = 'behind'
    watch.at = at
    this.#behind.add(watch)
  }

  /** It waits until it has consumed something, or others have. */
  #block(watch: Watch, at: Position): void {
    this.#leaveLive(watch)
    watch.at = at
    watch.state = 'blocked'
    if (watch.credit > 0) this.#held.add(watch)
  }

  /** Tells those for whom nothing was lately how far they are. */
  #tellProgress(): void {
    for (const watch of this.#all())
      if (watch.state === 'live' && watch.at < this.#head) this.#send(watch, NOTHING, this.#headIndex, this.#head)
    this.#progressAt = this.#s.now
    this.#progressFrom = this.#head
  }

  *#all(): Generator<Watch> {
    for (const own of this.#byConnection.values()) yield* own.values()
  }

  #compacted(watch: Watch): void {
    this.#end(watch, 'compacted', this.#log.floor)
  }

  #endAll(): void {
    for (const watch of [...this.#all()]) this.#end(watch, 'moved', 0)
  }

  #end(watch: Watch, reason: WatchEndReason, floor: Index): void {
    const { connection, watchId } = watch
    this.#drop(connection, watchId)
    this.#s.reply(connection, { kind: 'watchEnd', watchId, epoch: this.#s.meta.epoch, reason, floor })
  }

  #refuse(connection: ConnectionId, watchId: number, reason: WatchEndReason): void {
    this.#s.reply(connection, { kind: 'watchEnd', watchId, epoch: this.#s.meta.epoch, reason, floor: 0 })
  }

  #drop(connection: ConnectionId, watchId: number): void {
    const own = this.#byConnection.get(connection)
    const watch = own?.get(watchId)
    if (own === undefined || watch === undefined) return
    own.delete(watchId)
    if (own.size === 0) this.#byConnection.delete(connection)
    this.#forget(watch)
  }

  #forget(watch: Watch): void {
    this.#leaveLive(watch)
    this.#behind.delete(watch)
    this.#ahead.delete(watch)
    this.#held.delete(watch)
    this.#underWay -= watch.underWay
    this.#count--
    this.#groups.leave(watch.group)
  }
}
