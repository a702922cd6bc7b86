// Ping rounds (PROTOCOL 4): all members say "unsealed in e, activated" in a round begun after the reads arrived. It needs no clock.
// Rounds are shared: what arrives while one runs waits for the next.
import type { Millis, NodeId, PingMessage, PongMessage, Sender } from '@coppice/protocol'
import type { Shared } from './shared.js'

/** A round without all answers is given up after this, ms. */
const ROUND_MS = 250

/** confirmed: all members were unsealed after the round began. refused: one is sealed. timeout: one is silent. */
export type PingOutcome = 'confirmed' | 'refused' | 'timeout'

export class Ping<Waiting> {
  readonly #s: Shared
  readonly #done: (outcome: PingOutcome, waiting: readonly Waiting[]) => void
  /** Unique across restarts too: a pong to an earlier incarnation must not count. */
  #round: number
  #running: Waiting[] | undefined
  #missing = new Set<NodeId>()
  #deadline: Millis = Infinity
  #next: Waiting[] = []

  constructor(shared: Shared, done: (outcome: PingOutcome, waiting: readonly Waiting[]) => void) {
    this.#s = shared
    this.#done = done
    this.#round = Math.floor(shared.random() * 2 ** 32) * 2 ** 20
  }

  /** Joins the next round, which begins after this moment. */
  join(waiting: Waiting): void {
    this.#next.push(waiting)
    if (this.#running === undefined) this.#begin()
  }

  onPing(from: Sender, m: PingMessage): void {
    const s = this.#s
    const known = s.isMember(from) || (!s.activated && m.epoch === s.meta.epoch)
    if (!known) return
    const ok = m.epoch === s.meta.epoch && s.activated && !s.sealed && !s.reloading // ping counts only in an epoch known to run
    s.send(from.id, { kind: 'pong', epoch: m.epoch, round: m.round, ok })
  }

  onPong(from: Sender, m: PongMessage): void {
    const s = this.#s
    if (this.#running === undefined || m.round !== this.#round || m.epoch !== s.meta.epoch || !s.isMember(from)) return
    if (!m.ok) return this.#end('refused')
    this.#missing.delete(from.id)
    if (this.#missing.size === 0) this.#end('confirmed')
  }

  get wakeAt(): Millis {
    return this.#deadline
  }

  tick(): void {
    if (this.#s.now >= this.#deadline) this.#end('timeout')
  }

  /** The epoch is over here: nobody's round can succeed. */
  abort(): void {
    if (this.#running !== undefined) this.#end('refused')
  }

  #begin(): void {
    const s = this.#s
    this.#running = this.#next
    this.#next = []
    this.#round++
    this.#missing = new Set(s.members.filter((id) => id !== s.options.id))
    this.#deadline = s.now + ROUND_MS
    if (!s.running) return this.#end('refused')
    for (const to of this.#missing) s.send(to, { kind: 'ping', epoch: s.meta.epoch, round: this.#round })
    if (this.#missing.size === 0) this.#end('confirmed')
  }

  #end(outcome: PingOutcome): void {
    const waiting = this.#running!
    this.#running = undefined
    this.#deadline = Infinity
    this.#done(outcome, waiting)
    if (this.#next.length > 0) this.#begin()
  }
}
