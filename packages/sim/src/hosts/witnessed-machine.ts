// The key-value machine with a witness: the oracle hears of every operation that is really applied, so that "exactly once" can be
// checked on the log that came to be committed, and of every change that the machine tells.
import type { BytesPort, Index, Millis, Writer } from '@coppice/protocol'
import type { ChangeSink, StateCapture, StateHashing, StateLoader, StateMachine } from '@coppice/replica'
import { KvMachine } from '@coppice/vkv/core'
import { Endings, type Told } from '../oracle/endings.js'

export interface ApplyWitness {
  applied(index: Index, operation: string): void
  /** A query was answered with these bytes, which depend on the entry `version`. */
  answered(answer: string, version: Index): void
  /** The machine told a change. */
  changed(told: Told): void
}

export class WitnessedMachine implements StateMachine {
  readonly #machine: KvMachine
  readonly #witness: ApplyWitness
  readonly #bytes: BytesPort
  /** Undefined: it did not see all entries. */
  #endings: Endings | undefined
  readonly #told: Told[] = []
  #changes: ChangeSink | undefined
  readonly #sink: ChangeSink

  constructor(bytes: BytesPort, witness: ApplyWitness) {
    this.#machine = new KvMachine(bytes)
    this.#witness = witness
    this.#bytes = bytes
    this.#endings = new Endings(bytes)
    this.#sink = {
      change: (stream, kind, topic, topicStart, topicEnd, payload, payloadStart, payloadEnd) => {
        const told = { stream, kind, topic: bytes.latin1(topic, topicStart, topicEnd) }
        this.#told.push(told)
        witness.changed(told)
        this.#changes!.change(stream, kind, topic, topicStart, topicEnd, payload, payloadStart, payloadEnd)
      },
    }
  }

  get digest(): string {
    return this.#machine.digest
  }
  validateOperation(buffer: Uint8Array, start: number, end: number): string | undefined {
    return this.#machine.validateOperation(buffer, start, end)
  }
  readsTime(buffer: Uint8Array, start: number): boolean {
    return this.#machine.readsTime(buffer, start)
  }
  validateQuery(buffer: Uint8Array, start: number, end: number): string | undefined {
    return this.#machine.validateQuery(buffer, start, end)
  }
  get dueAt(): Millis {
    return this.#machine.dueAt
  }
  tick(index: Index, elapsedMs: Millis, changes: ChangeSink): void {
    this.#changes = changes
    this.#machine.tick(index, elapsedMs, this.#sink)
    this.#endings?.ticked(index, elapsedMs, this.#told.splice(0))
  }
  apply(
    index: Index,
    elapsedMs: Millis,
    buffer: Uint8Array,
    start: number,
    end: number,
    out: Writer,
    changes: ChangeSink,
  ): void {
    this.#witness.applied(index, this.#bytes.latin1(buffer, start, end))
    this.#changes = changes
    const from = out.length
    this.#machine.apply(index, elapsedMs, buffer, start, end, out, this.#sink)
    const reply = out.buffer.subarray(from, out.length)
    this.#endings?.applied(index, elapsedMs, buffer, start, end, reply, this.#told.splice(0))
  }
  read(buffer: Uint8Array, start: number, end: number, out: Writer): Index {
    const from = out.length
    const version = this.#machine.read(buffer, start, end, out)
    this.#witness.answered(this.#bytes.latin1(out.buffer, from, out.length), version)
    return version
  }
  getState(): StateCapture {
    return this.#machine.getState()
  }
  setState(): StateLoader {
    this.#endings = undefined
    return this.#machine.setState()
  }
  hash(): string {
    return this.#machine.hash()
  }
  hashing(): StateHashing {
    return this.#machine.hashing()
  }
}
