// The register calls of the workload: the store's operations over the production clerk, each recorded in the history.
import type { ClerkLike } from '@coppice/clerk/core'
import { CoppiceError } from '@coppice/protocol'
import type { BytesPort, Outcome } from '@coppice/protocol'
import { decodeGetReply, decodeWriteReply, encodeCondPut, encodeDelete, encodeGet, encodePut } from '@coppice/vkv/core'
import type { Call, History, Value } from './history.js'

/** How a write ended; `busy` errors (timeouts, no server) leave the call open or make it never happen. */
export type Ending = 'ok' | 'mismatch' | Outcome

export class Calls {
  readonly clerk: ClerkLike
  readonly process: string
  readonly #history: History
  readonly #bytes: BytesPort

  constructor(clerk: ClerkLike, process: string, history: History, bytes: BytesPort) {
    this.clerk = clerk
    this.process = process
    this.#history = history
    this.#bytes = bytes
  }

  async put(key: string, value: string, tag: string, timeoutMs: number): Promise<Ending> {
    const call = this.#history.begin(this.process, 'write', key, value, tag)
    return this.#write(call, encodePut(this.#encode(key), this.#encode(value)), value, timeoutMs)
  }

  async delete(key: string, timeoutMs: number): Promise<Ending> {
    const call = this.#history.begin(this.process, 'write', key, null)
    return this.#write(call, encodeDelete(this.#encode(key)), null, timeoutMs)
  }

  async condPut(key: string, expected: Value, next: string, tag: string, timeoutMs: number): Promise<Ending> {
    const call = this.#history.begin(this.process, 'cas', key, [expected, next], tag)
    const before = expected === null ? undefined : this.#encode(expected)
    return this.#write(call, encodeCondPut(this.#encode(key), before, this.#encode(next)), next, timeoutMs)
  }

  /** undefined: the read failed. */
  async get(key: string, timeoutMs: number, from: 'any' | 'primary' = 'any'): Promise<{ value: Value } | undefined> {
    const call = this.#history.begin(this.process, 'read', key, undefined)
    try {
      const found = decodeGetReply(await this.clerk.read(encodeGet(this.#encode(key)), { timeoutMs, from }))
      const value = found === undefined ? null : this.#decode(found.value)
      this.#history.end(call, 'ok', value, found === undefined ? undefined : { version: found.version, value })
      return { value }
    } catch (error) {
      outcomeOf(error)
      return undefined
    }
  }

  async #write(call: Call, operation: Uint8Array, value: Value, timeoutMs: number): Promise<Ending> {
    try {
      const reply = decodeWriteReply(await this.clerk.submit(operation, { timeoutMs }))
      if (reply.kind === 'ok') {
        this.#history.end(call, 'ok', undefined, value === null ? undefined : { version: reply.version, value })
        return 'ok'
      }
      const current = reply.kind === 'mismatch' ? reply.current : undefined
      const seen = current && { version: current.version, value: this.#decode(current.value) }
      this.#history.end(call, 'fail', undefined, seen)
      return 'mismatch'
    } catch (error) {
      const outcome = await this.#resolved(outcomeOf(error), error)
      this.#history.failed(call, outcome)
      return outcome
    }
  }

  /** Half of the unknown outcomes are asked for, as a careful program would. */
  async #resolved(outcome: Outcome, error: unknown): Promise<Outcome> {
    if (outcome !== 'unknown' || this.clerk.random() < 0.5) return outcome
    try {
      return (await this.clerk.resolve(error as CoppiceError, { timeoutMs: 5_000 })).outcome
    } catch (again) {
      outcomeOf(again)
      return outcome
    }
  }

  #encode(text: string): Uint8Array {
    const out = new Uint8Array(text.length)
    this.#bytes.writeLatin1(out, text, 0)
    return out
  }
  #decode(bytes: Uint8Array): string {
    return this.#bytes.latin1(bytes, 0, bytes.length)
  }
}

/** Outcome of a typed failure; anything else is a defect of the client and ends the run. */
export function outcomeOf(error: unknown): Outcome {
  if (error instanceof CoppiceError) return error.outcome
  throw error
}
