// Reads (PROTOCOL 4): batched like requests, but without ids that last; answered by this clerk's read replica, chosen at random and
// kept, or by the primary. A read may be asked again anywhere at any time.
import { FRAGMENT_BYTES, MAX_RUN_REQUESTS, Reader } from '@coppice/protocol'
import type {
  Clock,
  Epoch,
  Index,
  Millis,
  NodeId,
  Outcome,
  Random,
  ReadRepliesMessage,
  RefusedMessage,
} from '@coppice/protocol'
import type { ReadAnswer } from './api.js'
import { backoffMs } from './backoff.js'
import { type Call, type CallOwner, CallQueue } from './call.js'
import { failure } from './failures.js'
import type { Member, ReplicaLink } from './members.js'
import type { OpenCalls } from './open-calls.js'
import type { Routing } from './routing.js'
import { buildOps, copyOut } from './run-builder.js'

const FRAME_BYTES = FRAGMENT_BYTES - 64
const AVOID_BASE_MS = 10
const AVOID_MAX_MS = 1_000
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
  readonly #sentById = new Map<number, Call>()
  /** Calls with a transmission under way, repetitions not counted. */
  #underWay = 0
  #nextId = 1
  #preferred: NodeId = ''
  /** Replicas that refused or were silent, with the time until which they are passed over and how often in a row. */
  readonly #avoidedById = new Map<NodeId, { until: Millis; times: number }>()
  #cancelRetry: (() => void) | undefined = undefined
  #lastRefusal = ''

  constructor(ports: ReadsPorts) {
    this.#ports = ports
  }

  get idle(): boolean {
    return this.#underWay === 0 && this.#lanes.every((lane) => lane.queue.size === 0)
  }
  get inFlight(): number {
    return this.#underWay
  }

  submit(call: Call, primary: boolean, stale: boolean): void {
    call.lane = (primary ? 1 : 0) + (stale ? 2 : 0)
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
    this.#avoidedById.delete(member.id)
    const r = new Reader(replies.buffer, replies.start, replies.end)
    for (let i = 0; i < message.count; i++) {
      const id = message.firstReadId + r.u32()
      const n = r.u32()
      const at = r.skip(n)
      const call = this.#sentById.get(id)
      if (call === undefined) continue
      this.#forget(call)
      // What a stale read shows may still be undone: it binds no later read.
      if (!this.#lanes[call.lane]!.stale) this.saw(epoch, minIndex)
      const bytes = copyOut(replies.buffer, at, n)
      const answer: Uint8Array | ReadAnswer = call.detailed ? { bytes, ageMs, epoch, minIndex } : bytes
      this.#ports.calls.succeed(call, answer)
    }
    r.finish()
    this.#lastRefusal = ''
    this.#ports.schedule()
  }

  onRefused(member: Member, message: RefusedMessage): void {
    const { firstId, count, reason } = message
    const invalid = reason === 'invalid' || reason === 'tooLarge'
    let primaryLane = false
    for (let id = firstId; id < firstId + count; id++) {
      const call = this.#sentById.get(id)
      if (call === undefined) continue
      // A later transmission of it is under way, or about to be.
      if (call.id !== id || call.queue !== undefined) {
        this.#sentById.delete(id)
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
      this.#sentById.delete(id)
      this.#again(call)
    }
    if (invalid) return
    this.#lastRefusal = reason
    this.#avoid(member, AVOID_BASE_MS)
    if (reason !== 'moved') return
    if (primaryLane) this.#ports.routing.onNotPrimary(member, message.primary)
    else this.#ports.routing.onSilent(member, false)
  }

  /** Links or roles have changed: what was asked on a link that is gone is asked again. */
  onChange(): void {
    for (const [id, call] of this.#sentById) {
      if (call.id !== id || call.queue !== undefined || (call.link as ReplicaLink).open) continue
      this.#sentById.delete(id)
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
      for (const [id, call] of this.#sentById) {
        if (call.id !== id || call.queue !== undefined || call.link !== member.link) continue
        const since = Math.max(call.sentAt, member.arrivingAt)
        if (now - since < patienceMs * 2 ** (call.attempts - 1)) continue
        silent = true
        // Asked again elsewhere; the answer that may still come is as good.
        call.earlierIds ??= []
        call.earlierIds.push(id)
        this.#again(call)
      }
      if (!silent) continue
      this.#avoid(member, silenceMs)
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
    if (call.id !== 0) this.#sentById.delete(call.id)
    if (call.earlierIds === undefined) return
    for (const id of call.earlierIds) this.#sentById.delete(id)
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
      const size = 4 + call.bytes.length
      if (run.length > 0 && bytes + size > FRAME_BYTES) break
      lane.queue.remove(call)
      call.id = this.#nextId++
      call.attempts++
      call.link = link
      call.sentAt = now
      this.#sentById.set(call.id, call)
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
    if (!lane.primary) return this.#replica()
    const primary = this.#ports.routing.primary()
    return primary === undefined || this.#isAvoided(primary.id) ? undefined : primary
  }

  // The preferred replica; another open one while that one connects. A lost or avoided one loses its preference.
  #replica(): Member | undefined {
    const { routing } = this.#ports
    const candidates: Member[] = []
    for (const id of routing.configuration?.members ?? []) {
      const member = routing.members.get(id)
      if (member?.link !== undefined && !this.#isAvoided(id)) candidates.push(member)
    }
    let preferred = candidates.find((member) => member.id === this.#preferred)
    if (preferred === undefined) {
      preferred = this.#anyOf(candidates)
      this.#preferred = preferred?.id ?? ''
    }
    return preferred?.link?.open === true ? preferred : this.#anyOf(candidates.filter((member) => member.link?.open))
  }

  #anyOf(members: readonly Member[]): Member | undefined {
    return members[Math.floor(this.#ports.random() * members.length)]
  }

  #isAvoided(id: NodeId): boolean {
    const avoided = this.#avoidedById.get(id)
    return avoided !== undefined && this.#ports.clock.now() < avoided.until
  }

  #avoid(member: Member, baseMs: number): void {
    const { clock, random } = this.#ports
    const times = this.#avoidedById.get(member.id)?.times ?? 0
    const ms = backoffMs(times, baseMs, Math.max(AVOID_MAX_MS, baseMs * 8), random)
    this.#avoidedById.set(member.id, { until: clock.now() + ms, times: times + 1 })
  }

  // Reads that wait because replicas are avoided go when the first of these may be asked again.
  #maybeRetryLater(): void {
    if (this.#cancelRetry !== undefined || this.#lanes.every((lane) => lane.queue.size === 0)) return
    const now = this.#ports.clock.now()
    let first = Infinity
    for (const { until } of this.#avoidedById.values()) if (until > now && until < first) first = until
    if (first === Infinity) return
    this.#cancelRetry = this.#ports.clock.after(first - now, () => {
      this.#cancelRetry = undefined
      this.#ports.schedule()
    })
  }
}
