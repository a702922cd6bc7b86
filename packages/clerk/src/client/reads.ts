// Reads (PROTOCOL 4): batched like requests, but without ids that last; answered by this clerk's read replica, chosen at random (in the
// clerk's zone if a member there can be asked) and kept, or by the primary. A read may be asked again anywhere at any time.
import { DecodeError, FRAGMENT_BYTES, MAX_RUN_REQUESTS, readU32 } from '@coppice/protocol'
import type {
  Clock,
  Epoch,
  Index,
  Millis,
  Outcome,
  Random,
  ReadRepliesMessage,
  RefusedMessage,
} from '@coppice/protocol'
import type { ReadOptions } from './api.js'
import { Avoided } from './avoided.js'
import { type Call, type CallOwner, CallQueue } from './call.js'
import { failure } from './failures.js'
import type { Member, ReplicaLink } from './members.js'
import type { OpenCalls } from './open-calls.js'
import { ReplicaChoice } from './replica-choice.js'
import type { Routing } from './routing.js'
import { buildOps, copyOut } from './run-builder.js'
import { SentReads } from './sent-reads.js'

const FRAME_BYTES = FRAGMENT_BYTES - 64
const AVOID_BASE_MS = 10
/** A read is asked again elsewhere after so many times silenceMs, even if its replica talks of other things. */
const OVERDUE_SILENCES = 2

export interface ReadsPorts {
  readonly clock: Clock
  readonly random: Random
  readonly routing: Routing
  readonly calls: OpenCalls
  readonly schedule: () => void
  readonly maxInFlight: number
  readonly silenceMs: number
  /** Replicas of it come first; '': all are alike. */
  readonly zone: string
}

interface Lane {
  readonly queue: CallQueue
  readonly primary: boolean
  readonly stale: boolean
}

export class Reads implements CallOwner {
  /** Read-your-writes: every later read must see this epoch and everything below this index. */
  minEpoch: Epoch = 0
  minIndex: Index = 0
  readonly #ports: ReadsPorts
  readonly #lanes: readonly Lane[] = [
    { queue: new CallQueue(), primary: false, stale: false },
    { queue: new CallQueue(), primary: true, stale: false },
    { queue: new CallQueue(), primary: false, stale: true },
    { queue: new CallQueue(), primary: true, stale: true },
  ]
  /** Every transmission whose answer is welcome. */
  readonly #sent = new SentReads()
  /** Calls with a transmission under way, repetitions not counted. */
  #underWay = 0
  #nextId = 1
  readonly #avoided: Avoided
  readonly #choice: ReplicaChoice
  #cancelRetry: (() => void) | undefined = undefined
  #lastRefusal = ''

  constructor(ports: ReadsPorts) {
    this.#ports = ports
    this.#avoided = new Avoided(ports.clock, ports.random)
    this.#choice = new ReplicaChoice(ports, this.#avoided)
  }

  get idle(): boolean {
    return this.#underWay === 0 && !this.#waiting
  }
  get inFlight(): number {
    return this.#underWay
  }

  get #waiting(): boolean {
    for (let i = 0; i < this.#lanes.length; i++) if (this.#lanes[i]!.queue.size > 0) return true
    return false
  }

  submit(call: Call, options: ReadOptions | undefined): void {
    if (options !== undefined) call.lane = (options.from === 'primary' ? 1 : 0) + (options.stale === true ? 2 : 0)
    this.#enqueue(call)
  }

  withdraw(call: Call): Outcome {
    this.#forget(call)
    // A read changes nothing.
    return 'not-applied'
  }

  lastWord(): string {
    return this.#lastRefusal === '' ? '' : `a replica refused: ${this.#lastRefusal}`
  }

  /** What this clerk has seen of the log; later reads see at least that. */
  saw(epoch: Epoch, index: Index): void {
    if (epoch > this.minEpoch) this.minEpoch = epoch
    if (index > this.minIndex) this.minIndex = index
  }

  flush(): void {
    for (const lane of this.#lanes) {
      while (lane.queue.size > 0 && this.#underWay < this.#ports.maxInFlight) {
        const link = this.#target(lane)?.link
        if (link === undefined) break
        this.#send(lane, link)
      }
    }
    this.#maybeRetryLater()
  }

  onReplies(member: Member, message: ReadRepliesMessage): void {
    const { replies, epoch, minIndex, ageMs } = message
    this.#avoided.forgive(member.id)
    const { calls } = this.#ports
    const { buffer, end } = replies
    let at = replies.start
    for (let i = 0; i < message.count; i++) {
      if (at + 8 > end) throw new DecodeError('an answer is cut off')
      const id = message.firstReadId + readU32(buffer, at)
      const start = at + 8
      at = start + readU32(buffer, at + 4)
      if (at > end) throw new DecodeError('an answer is cut off')
      const call = this.#sent.get(id)
      if (call === undefined) continue
      this.#forget(call)
      // What a stale read shows may still be undone: it binds no later read.
      if (!this.#lanes[call.lane]!.stale) this.saw(epoch, minIndex)
      if (call.detailed) calls.succeed(call, { bytes: copyOut(buffer, start, at), ageMs, epoch, minIndex })
      else calls.answer(call, buffer, start, at)
    }
    if (at !== end) throw new DecodeError(`${end - at} bytes too many`)
    this.#lastRefusal = ''
    if (this.#waiting) this.#ports.schedule()
  }

  onRefused(member: Member, message: RefusedMessage): void {
    const { firstId, count, reason } = message
    const invalid = reason === 'invalid' || reason === 'tooLarge'
    let primaryLane = false
    for (let id = firstId; id < firstId + count; id++) {
      const call = this.#sent.get(id)
      if (call === undefined) continue
      // A later transmission of it is under way, or about to be.
      if (call.id !== id || call.queue !== undefined) {
        this.#sent.delete(id)
        continue
      }
      if (invalid && id === firstId) {
        this.#forget(call)
        const details = { outcome: 'not-applied' as const, epoch: message.epoch }
        const code = reason === 'invalid' ? 'INVALID_ARGUMENT' : 'TOO_LARGE'
        this.#ports.calls.fail(call, failure(call, code, message.message, details))
        continue
      }
      primaryLane ||= this.#lanes[call.lane]!.primary
      this.#sent.delete(id)
      this.#again(call)
    }
    if (invalid) return
    this.#lastRefusal = reason
    this.#avoided.add(member.id, AVOID_BASE_MS)
    if (reason !== 'moved') return
    if (primaryLane) this.#ports.routing.onNotPrimary(member, message.primary)
    else this.#ports.routing.onSilent(member, false)
  }

  /** Links or roles have changed: what was asked on a link that is gone is asked again. */
  onChange(): void {
    for (const [id, call] of this.#sent.entries()) {
      if (call.id !== id || call.queue !== undefined || (call.link as ReplicaLink).open) continue
      this.#sent.delete(id)
      this.#again(call)
    }
    this.#ports.schedule()
  }

  /** Looks for silence; called a few times per silenceMs. */
  tick(now: Millis): void {
    const { silenceMs, routing } = this.#ports
    for (const member of routing.members.all()) {
      const heardAt = Math.max(member.heardAt, member.arrivingAt)
      const patienceMs = silenceMs * (now - heardAt > silenceMs ? 1 : OVERDUE_SILENCES)
      let silent = false
      for (const [id, call] of this.#sent.entries()) {
        if (call.id !== id || call.queue !== undefined || call.link !== member.link) continue
        const since = Math.max(call.sentAt, member.arrivingAt)
        if (now - since < patienceMs * 2 ** (call.attempts - 1)) continue
        silent = true
        // Asked again elsewhere; the answer that may still come is as good.
        call.earlierIds ??= []
        call.earlierIds.push(id)
        this.#sent.keepEarlier(call)
        this.#again(call)
      }
      if (!silent) continue
      this.#avoided.add(member.id, silenceMs)
      routing.onSilent(member, false)
    }
  }

  close(): void {
    this.#cancelRetry?.()
    this.#cancelRetry = undefined
  }

  // Its transmission is over or given up; it waits for the next.
  #again(call: Call): void {
    this.#underWay--
    this.#enqueue(call)
  }

  // Nothing of it is waited for any more.
  #forget(call: Call): void {
    if (call.queue !== undefined) call.queue.remove(call)
    else if (call.id !== 0) this.#underWay--
    if (call.id !== 0) this.#sent.delete(call.id)
    if (call.earlierIds === undefined) return
    for (const id of call.earlierIds) this.#sent.delete(id)
    call.earlierIds = undefined
  }

  #enqueue(call: Call): void {
    this.#lanes[call.lane]!.queue.push(call)
    this.#ports.schedule()
  }

  #send(lane: Lane, link: ReplicaLink): void {
    const run: Call[] = []
    let bytes = 0
    const room = Math.min(MAX_RUN_REQUESTS, this.#ports.maxInFlight - this.#underWay)
    const now = this.#ports.clock.now()
    const firstReadId = this.#nextId
    for (let call = lane.queue.head; call !== undefined && run.length < room; call = lane.queue.head) {
      const size = 4 + call.size
      if (run.length > 0 && bytes + size > FRAME_BYTES) break
      lane.queue.remove(call)
      call.id = this.#nextId++
      call.attempts++
      call.link = link
      call.sentAt = now
      this.#sent.add(call)
      this.#underWay++
      run.push(call)
      bytes += size
    }
    link.send({
      kind: 'reads',
      firstReadId,
      minEpoch: lane.stale ? 0 : this.minEpoch,
      minIndex: lane.stale ? 0 : this.minIndex,
      stale: lane.stale,
      count: run.length,
      ops: buildOps(run, bytes),
    })
  }

  #target(lane: Lane): Member | undefined {
    if (!lane.primary) return this.#choice.replica()
    const primary = this.#ports.routing.primary()
    return primary === undefined || this.#avoided.has(primary.id) ? undefined : primary
  }

  // Reads that wait because replicas are avoided go when the first of these may be asked again.
  #maybeRetryLater(): void {
    if (this.#cancelRetry !== undefined || !this.#waiting) return
    const waitMs = this.#avoided.untilNextMs()
    if (waitMs === Infinity) return
    this.#cancelRetry = this.#ports.clock.after(waitMs, () => {
      this.#cancelRetry = undefined
      this.#ports.schedule()
    })
  }
}
