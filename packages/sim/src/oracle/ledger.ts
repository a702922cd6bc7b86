// The exactly-once ledger (I6): which requests were executed in the log that came to be committed, each at most once, none by a clerk
// after its removal.
import { Reader, readRecordHeader, readRun, readU32, RECORD_HEADER_BYTES } from '@coppice/protocol'
import type { BytesPort, Index } from '@coppice/protocol'
import { check } from '../kernel/violation.js'

interface Request {
  readonly clerkId: number
  readonly requestId: number
  readonly operation: string
}

export class Ledger {
  readonly #bytes: BytesPort
  /** Operations that some machine applied at an index, in whatever log it had. */
  readonly #appliedAt = new Map<Index, string | string[]>()
  /** Committed requests that no machine has applied so far. */
  readonly #unapplied = new Map<Index, Request>()
  /** Index at which (clerkId, requestId) was executed. */
  readonly #executed = new Map<string, Index>()
  /** How often each operation was executed in the committed log. */
  readonly executions = new Map<string, number>()
  readonly #removedAt = new Map<number, Index>()
  executedCount = 0
  skips = 0
  touches = 0
  barriers = 0
  ticks = 0
  registrations = 0

  constructor(bytes: BytesPort) {
    this.#bytes = bytes
  }

  applied(index: Index, operation: string): void {
    const known = this.#appliedAt.get(index)
    if (known === undefined) this.#appliedAt.set(index, operation)
    else if (typeof known === 'string') {
      if (known !== operation) this.#appliedAt.set(index, [known, operation])
    } else if (!known.includes(operation)) known.push(operation)
    const unapplied = this.#unapplied.get(index)
    if (unapplied?.operation !== operation) return
    this.#unapplied.delete(index)
    this.#executedAt(index, unapplied)
  }

  /** Committed requests that no machine executed: their clerk had sent them before, or was gone. */
  get repeated(): number {
    return this.#unapplied.size
  }

  /** Clerks removed by the committed log. */
  get removals(): number {
    return this.#removedAt.size
  }

  /** One more record is committed. */
  commit(record: Uint8Array): void {
    const header = readRecordHeader(record)
    const reader = new Reader(record, RECORD_HEADER_BYTES)
    let index = header.firstIndex
    while (reader.at < reader.end) {
      const run = readRun(reader)
      if (run.kind === 'requests') {
        let at = run.opsStart
        for (let i = 0; i < run.count; i++, index++) {
          const length = readU32(record, at)
          const operation = this.#bytes.latin1(record, at + 4, at + 4 + length)
          this.#committed(index, { clerkId: run.clerkId, requestId: run.firstRequestId + i, operation })
          at += 4 + length
        }
        continue
      }
      if (run.kind === 'skip') this.skips++
      else if (run.kind === 'touch') this.touches++
      else if (run.kind === 'expire') for (const clerkId of run.clerkIds) this.#removedAt.set(clerkId, index)
      else if (run.kind === 'barrier') this.barriers++
      else if (run.kind === 'tick') this.ticks++
      else this.registrations++
      index++
    }
  }

  /** Disks may be faster than the application of what they hold: then it is judged when it is applied. */
  #committed(index: Index, request: Request): void {
    const { operation } = request
    const applied = this.#appliedAt.get(index)
    const isApplied = applied === operation || (Array.isArray(applied) && applied.includes(operation))
    if (isApplied) this.#executedAt(index, request)
    else this.#unapplied.set(index, request)
  }

  #executedAt(index: Index, { clerkId, requestId, operation }: Request): void {
    const key = `${clerkId}/${requestId}`
    const before = this.#executed.get(key)
    check(before === undefined, 'I6', () => `request ${key} executed at ${before} and again at ${index}`)
    const removed = this.#removedAt.get(clerkId)
    check(
      removed === undefined || index < removed,
      'I6',
      () => `request ${key} executed at ${index}, its clerk left at ${removed}`,
    )
    this.#executed.set(key, index)
    this.executedCount++
    this.executions.set(operation, (this.executions.get(operation) ?? 0) + 1)
  }
}
