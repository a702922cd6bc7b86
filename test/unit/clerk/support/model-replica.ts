// The exactly-once table of PROTOCOL 6 as a model: a log of entries, from which everything else is computed. The machine appends
// texts; its reply names the entry.
import { CLERK_WINDOW, REPLY_OK, REPLY_SKIPPED, readU32, writeU32 } from '@coppice/protocol'
import type {
  RefusalReason,
  RefusedMessage,
  RegisterMessage,
  ReplicaToClerk,
  RequestsMessage,
  SkipMessage,
} from '@coppice/protocol'

export type Entry =
  | { kind: 'register'; nonce: string }
  | { kind: 'request'; clerkId: number; id: number; firstIncomplete: number; op: string }
  | { kind: 'skip'; clerkId: number; from: number; to: number; firstIncomplete: number }
  | { kind: 'expire'; clerkId: number }

interface ModelClerk {
  maxApplied: number
  firstIncomplete: number
  readonly replies: Map<number, { status: number; text: string; index: number }>
}

export interface Answer {
  readonly message: ReplicaToClerk
  /** Leaves when this many entries are committed. */
  readonly after: number
}

export class Model {
  readonly log: Entry[] = []
  readonly clerks = new Map<number, ModelClerk>()
  readonly executed: string[] = []
  #idByNonce = new Map<string, number>()

  static replay(log: readonly Entry[]): Model {
    const model = new Model()
    for (const entry of log) model.apply(entry)
    return model
  }

  apply(entry: Entry): void {
    this.log.push(entry)
    const index = this.log.length
    if (entry.kind === 'register') {
      if (this.#idByNonce.has(entry.nonce)) return
      this.#idByNonce.set(entry.nonce, index)
      this.clerks.set(index, { maxApplied: 0, firstIncomplete: 1, replies: new Map() })
      return
    }
    const clerk = this.clerks.get(entry.clerkId)
    if (clerk === undefined) return
    if (entry.kind === 'expire') {
      this.clerks.delete(entry.clerkId)
      return
    }
    if (entry.kind === 'request') {
      if (entry.id !== clerk.maxApplied + 1) throw new Error('model: out of order entry')
      this.executed.push(entry.op)
      clerk.maxApplied = entry.id
      clerk.replies.set(entry.id, { status: REPLY_OK, text: `${index}:${entry.op}`, index })
    } else {
      for (let id = clerk.maxApplied + 1; id <= entry.to; id++) {
        clerk.replies.set(id, { status: REPLY_SKIPPED, text: '', index })
        clerk.maxApplied = id
      }
    }
    clerk.firstIncomplete = Math.max(clerk.firstIncomplete, entry.firstIncomplete)
    for (const id of clerk.replies.keys()) {
      if (id >= clerk.firstIncomplete) break
      clerk.replies.delete(id)
    }
  }

  register(message: RegisterMessage, epoch: number): Answer {
    const nonce = String(message.nonce)
    if (!this.#idByNonce.has(nonce)) this.apply({ kind: 'register', nonce })
    const clerkId = this.#idByNonce.get(nonce)!
    return { message: { kind: 'registered', nonce: message.nonce, clerkId, epoch }, after: clerkId }
  }

  /** One by one, so that the model is as plain as the rule. */
  requests(m: RequestsMessage, epoch: number, invalid: (op: string) => boolean): Answer[] {
    const answers: Answer[] = []
    let at = m.ops.start
    for (let i = 0; i < m.count; i++) {
      const n = readU32(m.ops.buffer, at)
      const op = String.fromCharCode(...m.ops.buffer.subarray(at + 4, at + 4 + Math.min(n, 64)))
      at += 4 + n
      const id = m.firstRequestId + i
      const rest = m.count - i
      const reason = this.#reason(m.clerkId, id, m.firstIncomplete)
      if (reason !== undefined) {
        answers.push(this.refusal('requests', m.clerkId, id, reason === 'stale' ? 1 : rest, reason, epoch))
        if (reason === 'stale') continue
        return answers
      }
      const clerk = this.clerks.get(m.clerkId)!
      if (id === clerk.maxApplied + 1) {
        if (invalid(op)) {
          answers.push(this.refusal('requests', m.clerkId, id, 1, 'invalid', epoch))
          if (rest > 1) answers.push(this.refusal('requests', m.clerkId, id + 1, rest - 1, 'outOfOrder', epoch))
          return answers
        }
        this.apply({ kind: 'request', clerkId: m.clerkId, id, firstIncomplete: m.firstIncomplete, op })
      }
      answers.push(this.#reply(m.clerkId, id, epoch))
    }
    return answers
  }

  skip(m: SkipMessage, epoch: number): Answer[] {
    const reason = this.#reason(m.clerkId, m.from, m.firstIncomplete)
    if (reason !== undefined) return [this.refusal('skip', m.clerkId, m.from, m.to - m.from + 1, reason, epoch)]
    if (m.to > this.clerks.get(m.clerkId)!.maxApplied) this.apply({ ...m, kind: 'skip' })
    const answers: Answer[] = []
    for (let id = m.from; id <= m.to; id++) answers.push(this.#reply(m.clerkId, id, epoch))
    return answers
  }

  refusal(
    of: RefusedMessage['of'],
    clerkId: number,
    firstId: number,
    count: number,
    reason: RefusalReason,
    epoch: number,
  ): Answer {
    const expected = (this.clerks.get(clerkId)?.maxApplied ?? 0) + 1
    const message = { kind: 'refused' as const, of, clerkId, firstId, count, reason, expected, epoch, primary: '' }
    return { message: { ...message, message: `refused as ${reason}` }, after: 0 }
  }

  #reason(clerkId: number, id: number, firstIncomplete: number): RefusalReason | undefined {
    const clerk = this.clerks.get(clerkId)
    if (clerk === undefined) return 'sessionExpired'
    if (firstIncomplete > clerk.maxApplied + 1) return 'behind'
    const low = Math.max(clerk.firstIncomplete, firstIncomplete)
    if (id < low) return 'stale'
    if (id > clerk.maxApplied + 1) return 'outOfOrder'
    return id >= low + CLERK_WINDOW ? 'window' : undefined
  }

  #reply(clerkId: number, id: number, epoch: number): Answer {
    const stored = this.clerks.get(clerkId)!.replies.get(id)
    // Its own firstIncomplete is at most the id, so the reply is there.
    if (stored === undefined) throw new Error(`model: no reply for ${id}`)
    const text = Uint8Array.from(stored.text, (c) => c.charCodeAt(0))
    const buffer = new Uint8Array(5 + text.length)
    buffer[0] = stored.status
    writeU32(buffer, 1, text.length)
    buffer.set(text, 5)
    const replies = { buffer, start: 0, end: buffer.length }
    const { index } = stored
    const message = {
      kind: 'replies' as const,
      clerkId,
      firstRequestId: id,
      count: 1,
      epoch,
      minIndex: index + 1,
      replies,
    }
    return { message, after: index }
  }
}
