// What watchers should have been told: the committed log, applied once more by a machine that never stops, restarts or is sent anything.
import type { BytesPort, Index, LineageEntry, Millis, Writer } from '@coppice/protocol'
import { formatMeta, ReplicaLoader } from '@coppice/replica'
import type { ChangeSink, StateCapture, StateHashing, StateLoader, StateMachine } from '@coppice/replica'
import { KvMachine } from '@coppice/vkv/core'

export interface TrueChange {
  readonly index: Index
  readonly stream: number
  /** One char a byte. */
  readonly topic: string
  /** Kind and payload. */
  readonly what: string
}

export function changesOf(
  records: readonly Uint8Array[],
  lineage: readonly LineageEntry[],
  bytes: BytesPort,
): readonly TrueChange[] {
  const machine = new ListeningMachine(bytes)
  const options = {
    id: 'truth',
    address: '',
    configServers: [],
    pid: 0,
    startedAt: 0,
    version: 'sim',
    seed: 0,
    snapshotEveryBytes: Infinity,
    minLogBytesKept: Infinity,
  }
  const meta = { ...formatMeta({ id: 'truth', group: 'main', storeId: 'truth' }), lineage }
  const loader = new ReplicaLoader(options, meta, machine, bytes)
  for (const record of records) loader.addRecord(record)
  return machine.changes
}

/** The key-value machine; what it tells watchers is kept. */
class ListeningMachine implements StateMachine {
  readonly changes: TrueChange[] = []
  readonly #machine: KvMachine
  readonly #bytes: BytesPort
  #index: Index = 0
  readonly #sink: ChangeSink = {
    change: (stream, kind, topic, topicStart, topicEnd, payload, payloadStart, payloadEnd) => {
      this.changes.push({
        index: this.#index,
        stream,
        topic: this.#bytes.latin1(topic, topicStart, topicEnd),
        what: `${kind}:${this.#bytes.latin1(payload, payloadStart, payloadEnd)}`,
      })
    },
  }

  constructor(bytes: BytesPort) {
    this.#machine = new KvMachine(bytes)
    this.#bytes = bytes
  }

  get digest(): string {
    return this.#machine.digest
  }
  get dueAt(): Millis {
    return this.#machine.dueAt
  }
  validateOperation(buffer: Uint8Array, start: number, end: number): string | undefined {
    return this.#machine.validateOperation(buffer, start, end)
  }
  validateQuery(buffer: Uint8Array, start: number, end: number): string | undefined {
    return this.#machine.validateQuery(buffer, start, end)
  }
  apply(index: Index, elapsedMs: Millis, buffer: Uint8Array, start: number, end: number, out: Writer): void {
    this.#index = index
    this.#machine.apply(index, elapsedMs, buffer, start, end, out, this.#sink)
  }
  tick(index: Index, elapsedMs: Millis): void {
    this.#index = index
    this.#machine.tick(index, elapsedMs, this.#sink)
  }
  read(buffer: Uint8Array, start: number, end: number, out: Writer): Index {
    return this.#machine.read(buffer, start, end, out)
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
  hashing(): StateHashing {
    return this.#machine.hashing()
  }
}
