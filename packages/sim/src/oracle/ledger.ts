// The exactly-once ledger (I6): which requests were executed in the log that came to be committed, each at most once, none by a clerk
// after its removal.
import { Reader, readRecordHeader, readRun, readU32, RECORD_HEADER_BYTES } from '@coppice/protocol'
import type { BytesPort, Index } from '@coppice/protocol'
import { check } from '../kernel/violation.js'

export class Ledger {
  readonly #bytes: BytesPort
  /** Operations that some machine applied at an index, in whatever log it had. */
  readonly #appliedAt = new Map<Index, string | string[]>()
  /** Index at which (clerkId, requestId) was executed. */
  readonly #executed = new Map<string, Index>()
  /** How often each operation was executed in the committed log. */
  readonly executions = new Map<string, number>()
  readonly #removedAt = new Map<number, Index>()
  executedCount = 0
  repeated = 0
  skips = 0
  touches = 0
  barriers = 0
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
          this.#request(run.clerkId, run.firstRequestId + i, index, this.#bytes.latin1(record, at + 4, at + 4 + length))
          at += 4 + length
        }
        continue
      }
      if (run.kind === 'skip') this.skips++
      else if (run.kind === 'touch') this.touches++
      else if (run.kind === 'expire') for (const clerkId of run.clerkIds) this.#removedAt.set(clerkId, index)
      else if (run.kind === 'barrier') this.barriers++
      else this.registrations++
      index++
    }
  }

  #request(clerkId: number, requestId: number, index: Index, operation: string): void {
    const applied = this.#appliedAt.get(index)
    if (applied === undefined || (typeof applied === 'string' ? applied !== operation : !applied.includes(operation))) {
      this.repeated++
      return
    }
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
