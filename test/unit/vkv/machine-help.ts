// A machine driven by hand: operations get consecutive indexes, replies come back as bytes.
import { type Change, Writer } from '@coppice/protocol'
import { nodeBytes } from '@coppice/runtime'
import type { ChangeSink } from '@coppice/replica'
import { KvMachine } from '@coppice/vkv/core'

const utf8 = new TextEncoder()
export const bytes = (text: string): Uint8Array => utf8.encode(text)
export const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : Buffer.from(value).toString()

export class DrivenMachine {
  readonly machine = new KvMachine(nodeBytes)
  index = 0
  now = 0
  readonly #out = new Writer()
  /** What the machine told those who watch. */
  readonly changes: { index: number; at: number; stream: number; kind: number; topic: string; payload: string }[] = []
  /** The same as they were. */
  readonly past: Change[] = []
  /** Called with each of them, with bytes of its own. */
  readonly listeners = new Set<(change: Change) => void>()
  readonly #sink: ChangeSink = {
    change: (stream, kind, topic, topicStart, topicEnd, payload, payloadStart, payloadEnd) => {
      const { index } = this
      const own = { topic: topic.slice(topicStart, topicEnd), payload: payload.slice(payloadStart, payloadEnd) }
      const size = own.topic.length + own.payload.length
      this.changes.push({ index, at: this.now, stream, kind, topic: text(own.topic)!, payload: text(own.payload)! })
      const change = { index, stream, kind, ...own, size }
      this.past.push(change)
      for (const listen of this.listeners) listen(change)
    },
  }

  apply(operation: Uint8Array): Uint8Array {
    const problem = this.machine.validateOperation(operation, 0, operation.length)
    if (problem !== undefined) throw new Error(problem)
    return this.force(operation)
  }

  /** The same for an operation that nobody has validated. */
  force(operation: Uint8Array): Uint8Array {
    this.#out.reset()
    this.machine.apply(++this.index, this.now, operation, 0, operation.length, this.#out, this.#sink)
    return this.#out.take()
  }

  /** One tick, at the present time. */
  tick(): void {
    this.machine.tick(++this.index, this.now, this.#sink)
  }

  /** Another machine that was loaded from a capture of this one. */
  /** `change`: of the pieces on their way. */
  reloaded(change: (piece: Uint8Array) => void = () => undefined): DrivenMachine {
    const other = new DrivenMachine()
    other.index = this.index
    other.now = this.now
    const capture = this.machine.getState()
    const loader = other.machine.setState()
    for (let piece = capture.next(512); piece !== undefined; piece = capture.next(512)) {
      const copy = piece.slice()
      change(copy)
      loader.add(copy)
    }
    loader.finish()
    return other
  }

  /** Lets time pass; whatever ends until then ends as soon as it is due. */
  passTo(now: number): void {
    while (this.machine.dueAt <= now) {
      this.now = Math.max(this.now, this.machine.dueAt)
      this.tick()
    }
    this.now = Math.max(this.now, now)
  }

  read(query: Uint8Array): { reply: Uint8Array; version: number } {
    const problem = this.machine.validateQuery(query, 0, query.length)
    if (problem !== undefined) throw new Error(problem)
    this.#out.reset()
    const version = this.machine.read(query, 0, query.length, this.#out)
    return { reply: this.#out.take(), version }
  }
}
