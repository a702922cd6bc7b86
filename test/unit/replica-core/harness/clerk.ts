// A clerk for tests: registers, sends additions in runs under consecutive ids, resends what is unanswered, reads anywhere; and it
// notes what it must have been told if the cluster is exactly-once and linearizable.
import { readU32, Writer } from '@coppice/protocol'
import type { ReplicaToClient } from '@coppice/protocol'
import { addOp, readOp } from './counter-machine.js'
import type { Cluster } from './cluster.js'

export interface Seen {
  /** Greatest value anybody was told. */
  value: number
}

interface Open {
  readonly id: number
  readonly key: number
  readonly op: Uint8Array
}

export const packed = (ops: readonly Uint8Array[]) => {
  const w = new Writer()
  for (const op of ops) w.bytes(op)
  const buffer = w.take()
  return { buffer, start: 0, end: buffer.length }
}

export class TestClerk {
  clerkId = 0
  acked = 0
  expired = false
  readonly problems: string[] = []
  readonly replies: ReplicaToClient[] = []
  minEpoch = 0
  minIndex = 0
  #nonce: Uint8Array
  #open: Open[] = []
  #next = 1
  #reads = new Map<number, { key: number; floor: number; minted: number }>()
  #nextRead = 1
  readonly #c: Cluster
  readonly #connection: number
  readonly #told: Map<number, Seen>
  readonly #submitted: Map<number, number>
  /** Whom it believes to be the primary. */
  primary: string

  constructor(
    c: Cluster,
    n: number,
    primary: string,
    told = new Map<number, Seen>(),
    submitted = new Map<number, number>(),
  ) {
    this.#c = c
    this.#connection = n
    this.primary = primary
    this.#told = told
    this.#submitted = submitted
    this.#nonce = new Uint8Array(16).fill(n)
  }

  get connection(): number {
    return this.#connection
  }
  get open(): number {
    return this.#open.length
  }
  get openReads(): number {
    return this.#reads.size
  }

  register(): void {
    this.#c.client(this.primary, this.#connection, { kind: 'register', nonce: this.#nonce })
  }

  /** Submits additions of 1 to `keys` and sends them. */
  add(keys: readonly number[]): void {
    for (const key of keys) {
      this.#open.push({ id: this.#next++, key, op: addOp(key) })
      this.#submitted.set(key, (this.#submitted.get(key) ?? 0) + 1)
    }
    this.resend()
  }

  /** Sends all that is open, in order, to the believed primary. */
  resend(): void {
    if (this.clerkId === 0) return this.register()
    // Answered ids leave holes: each run of consecutive ids is a frame.
    for (let i = 0; i < this.#open.length;) {
      let n = 1
      while (i + n < this.#open.length && this.#open[i + n]!.id === this.#open[i]!.id + n) n++
      const firstIncomplete = this.#open[0]!.id
      const ops = packed(this.#open.slice(i, i + n).map((o) => o.op))
      const { id } = this.#open[i]!
      const message = {
        kind: 'requests',
        clerkId: this.clerkId,
        firstRequestId: id,
        firstIncomplete,
        count: n,
        ops,
      } as const
      this.#c.client(this.primary, this.#connection, message)
      i += n
    }
  }

  read(at: string, key: number): void {
    const id = this.#nextRead++
    this.#reads.set(id, { key, floor: this.#told.get(key)?.value ?? 0, minted: this.#c.now })
    const { minEpoch, minIndex } = this
    const message = {
      kind: 'reads',
      firstReadId: id,
      minEpoch,
      minIndex,
      stale: false,
      count: 1,
      ops: packed([readOp(key)]),
    } as const
    this.#c.client(at, this.#connection, message)
  }

  on(from: string, m: ReplicaToClient): void {
    this.replies.push(m)
    if (m.kind === 'registered') {
      if (this.clerkId !== 0 && this.clerkId !== m.clerkId) this.problems.push(`two ids: ${this.clerkId}, ${m.clerkId}`)
      this.clerkId = m.clerkId
      return this.resend()
    }
    if (m.kind === 'replies') return this.#onReplies(m)
    if (m.kind === 'readReplies') {
      const { buffer } = m.replies
      let at = m.replies.start
      for (let i = 0; i < m.count; i++) {
        const id = m.firstReadId + readU32(buffer, at)
        const value = readU32(buffer, at + 8)
        at += 8 + readU32(buffer, at + 4)
        const read = this.#reads.get(id)
        if (read === undefined) continue
        this.#reads.delete(id)
        if (value < read.floor)
          this.problems.push(`read of ${read.key} at ${from}: ${value}, but ${read.floor} was told before`)
        if (value > (this.#submitted.get(read.key) ?? 0))
          this.problems.push(`read of ${read.key}: ${value}, never written`)
        this.#tell(read.key, value)
      }
      return
    }
    if (m.kind !== 'refused') return
    if (m.of === 'reads') {
      for (let id = m.firstId; id < m.firstId + m.count; id++) this.#reads.delete(id)
      return
    }
    if (m.reason === 'sessionExpired') this.expired = true
    if (m.reason === 'moved' && m.primary !== '') this.primary = m.primary
  }

  #onReplies(m: Extract<ReplicaToClient, { kind: 'replies' }>): void {
    const { buffer } = m.replies
    let at = m.replies.start
    for (let i = 0; i < m.count; i++) {
      const id = m.firstRequestId + i
      const n = readU32(buffer, at + 1)
      const value = n >= 4 ? readU32(buffer, at + 5) : 0
      at += 5 + n
      const index = this.#open.findIndex((o) => o.id === id)
      if (index === -1) continue
      const [o] = this.#open.splice(index, 1)
      this.acked++
      this.minEpoch = Math.max(this.minEpoch, m.epoch)
      this.minIndex = Math.max(this.minIndex, m.minIndex)
      this.#tell(o!.key, value)
    }
  }

  #tell(key: number, value: number): void {
    const seen = this.#told.get(key)
    if (seen === undefined) this.#told.set(key, { value })
    else seen.value = Math.max(seen.value, value)
  }
}
