// The key-value machine with a witness: the oracle hears of every operation that is really applied, so that "exactly once" can be
// checked on the log that came to be committed.
import type { BytesPort, Index, Millis, Writer } from '@coppice/protocol'
import type { ChangeSink, StateCapture, StateLoader, StateMachine } from '@coppice/replica'
import { KvMachine } from '@coppice/vkv/core'

export interface ApplyWitness {
  applied(index: Index, operation: string): void
  /** A query was answered with these bytes, which depend on the entry `version`. */
  answered(answer: string, version: Index): void
}

export class WitnessedMachine implements StateMachine {
  readonly #machine: KvMachine
  readonly #witness: ApplyWitness
  readonly #bytes: BytesPort

  constructor(bytes: BytesPort, witness: ApplyWitness) {
    this.#machine = new KvMachine(bytes)
    this.#witness = witness
    this.#bytes = bytes
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
    this.#machine.tick(index, elapsedMs, changes)
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
    this.#machine.apply(index, elapsedMs, buffer, start, end, out, changes)
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
    return this.#machine.setState()
  }
  hash(): string {
    return this.#machine.hash()
  }
}
