// The source's side of a transfer (PROTOCOL 5 D6, R6): reads log and snapshot from disk and ships them, one chunk for each question.
import { LOADED_BYTES_PER_MS, LOG_PIECE_BYTES } from '@coppice/protocol'
import type { Index, Millis, NodeId, ReplicaToReplicaControl, Sender } from '@coppice/protocol'
import { MOST_CHUNKS } from './incoming-snapshot.js'
import type { ReplicaInput } from './io.js'
import type { Shared } from './shared.js'

type FetchLog = Extract<ReplicaToReplicaControl, { kind: 'fetchLog' }>
type FetchSnapshot = Extract<ReplicaToReplicaControl, { kind: 'fetchSnapshot' }>
type Reason = Extract<ReplicaToReplicaControl, { kind: 'fetchRefused' }>['reason']

interface Question {
  readonly peer: NodeId
  readonly token: number
  readonly limit: Index
}
/** What was shipped this way is under way for so long at the least; the same question meanwhile brings no second copy. */
const SHIPPING_MS = 400
/** Bytes a link ships in a millisecond, when nothing holds it up. */
const SHIPPED_BYTES_PER_MS = 16 * 1024

/** A question of a peer; a repetition has the same token. */
interface Asked {
  /** Until then its answer is taken to be under way; Infinity: it is still being read. */
  until: Millis
  repeated: number
}
/** Questions under way at the disk; above that they are dropped and asked again. */
const MAX_QUESTIONS = 8 * MOST_CHUNKS
/** Questions of one peer that are known when they are repeated: more than it has under way. */
const MAX_REMEMBERED = 2 * MOST_CHUNKS
const MAX_DOUBLINGS = 4
/** Who asked comes back for more within this time, and that of rebuilding its state from the snapshot. */
const PIN_MS = 10_000

export class TransferSource {
  readonly #s: Shared
  readonly #questions = new Map<number, Question>()
  /** By peer, its newest questions. */
  readonly #asked = new Map<NodeId, Map<number, Asked>>()
  #token = 0

  constructor(shared: Shared) {
    this.#s = shared
  }

  onFetchLog(from: Sender, m: FetchLog): void {
    const s = this.#s
    if (this.#underWay(from.id, m.token)) return this.#refuse(from.id, m.token, 'onItsWay')
    // A store that is being rebuilt, or that never was in an epoch, is nobody's source.
    if (s.reloading || s.meta.epoch === 0) return this.#refuse(from.id, m.token, 'notServing')
    // D2: uncommitted entries are shipped only as far as they are frozen.
    if (!m.committedOnly && !s.sealed && m.to > s.meta.start) return this.#refuse(from.id, m.token, 'notServing')
    // Learning needs an epoch that runs: only there is the commit index meaningful.
    if (m.committedOnly && !s.activated) return this.#refuse(from.id, m.token, 'notServing')
    s.shippingUntil = Math.max(s.shippingUntil, s.now + PIN_MS)
    if (m.from < s.log.base) return this.#refuse(from.id, m.token, 'compacted')
    // The entry before must be the same on both sides, else what follows is another history.
    if (m.from > s.log.nextIndex || s.epochAt(m.from - 1) !== m.fromEpoch)
      return this.#refuse(from.id, m.token, 'mismatch')
    const have = m.committedOnly ? Math.min(s.commitIndex, s.disk.durableIndex) : s.disk.durableIndex
    const limit = Math.min(m.to, have)
    if (m.from >= limit) {
      s.send(from.id, {
        kind: 'logChunk',
        token: m.token,
        from: m.from,
        next: m.from,
        end: true,
        records: new Uint8Array(0),
      })
      return
    }
    const token = this.#ask({ peer: from.id, token: m.token, limit })
    if (token !== 0) s.effects.push({ kind: 'readLog', token, from: m.from, to: limit, maxBytes: LOG_PIECE_BYTES })
  }

  onFetchSnapshot(from: Sender, m: FetchSnapshot): void {
    if (this.#s.reloading) return this.#refuse(from.id, m.token, 'notServing')
    if (this.#underWay(from.id, m.token)) return this.#refuse(from.id, m.token, 'onItsWay')
    this.#s.shippingUntil = Math.max(this.#s.shippingUntil, this.#s.now + PIN_MS)
    const token = this.#ask({ peer: from.id, token: m.token, limit: 0 })
    if (token !== 0) this.#s.effects.push({ kind: 'readSnapshot', token, snapshotId: m.snapshotId, chunk: m.chunk })
  }

  onLogRead(input: Extract<ReplicaInput, { kind: 'logRead' }>): void {
    const q = this.#take(input.token)
    if (q === undefined) return
    const { from, next, records } = input
    // Cut away meanwhile.
    if (records.length === 0) return this.#refuse(q.peer, q.token, 'compacted')
    this.#shipped(q, records.length)
    this.#s.send(q.peer, { kind: 'logChunk', token: q.token, from, next, end: next >= q.limit, records })
  }

  onSnapshotRead(input: Extract<ReplicaInput, { kind: 'snapshotRead' }>): void {
    const q = this.#take(input.token)
    if (q === undefined) return
    const { header, chunk, bytes } = input
    if (header === undefined || bytes === undefined) return this.#refuse(q.peer, q.token, 'noSnapshot')
    const { snapshotId, index, lineage, chunks, totalBytes } = header
    this.#s.shippingUntil = this.#s.now + PIN_MS + totalBytes / LOADED_BYTES_PER_MS
    const crc = this.#s.bytes.crc32(bytes, 0, bytes.length)
    const message = {
      kind: 'snapshotChunk',
      token: q.token,
      snapshotId,
      index,
      lineage,
      chunk,
      chunks,
      totalBytes,
    } as const
    this.#shipped(q, bytes.length)
    this.#s.send(q.peer, { ...message, crc, bytes })
  }

  /** A second copy would only delay the first. Whoever asks hears at once that it comes. */
  #underWay(peer: NodeId, token: number): boolean {
    const asked = this.#asked.get(peer)?.get(token)
    return asked !== undefined && this.#s.now < asked.until
  }

  #shipped(q: Question, bytes: number): void {
    const asked = this.#asked.get(q.peer)?.get(q.token)
    if (asked === undefined) return
    // Asked again after all, the link is slower than was thought.
    const factor = 2 ** Math.min(asked.repeated++, MAX_DOUBLINGS)
    asked.until = this.#s.now + (SHIPPING_MS + bytes / SHIPPED_BYTES_PER_MS) * factor
  }

  #ask(question: Question): number {
    if (this.#questions.size >= MAX_QUESTIONS) return 0
    const { peer, token } = question
    const asked = this.#asked.get(peer) ?? new Map<number, Asked>()
    this.#asked.set(peer, asked)
    const repeated = asked.get(token)?.repeated ?? 0
    asked.delete(token)
    asked.set(token, { until: Infinity, repeated })
    if (asked.size > MAX_REMEMBERED) asked.delete(asked.keys().next().value!)
    this.#questions.set(++this.#token, question)
    return this.#token
  }

  #take(token: number): Question | undefined {
    const q = this.#questions.get(token)
    this.#questions.delete(token)
    return q
  }

  #refuse(to: NodeId, token: number, reason: Reason): void {
    if (reason !== 'onItsWay') this.#asked.get(to)?.delete(token)
    this.#s.send(to, { kind: 'fetchRefused', group: this.#s.meta.group, token, reason })
  }
}
