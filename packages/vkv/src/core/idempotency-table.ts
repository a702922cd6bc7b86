// Idempotency keys: a write or a transaction that carries one is done once however many processes ask for it, for as long as its answer is kept. Where the
// exactly-once table follows one clerk, this follows the caller's own name for the operation, over the death of its process.
//
//   key → u53 expiry · u32 length, u32 crc and u32 hash of the operation · reply [· u8 there is a value · value]
//
// Only what was written is remembered: a comparison that failed, a broken guard or a refusal changed nothing and is made again; so is a
// transaction that only read. The answer of one that wrote is kept with all that its gets found: MAX_STORED_REPLY_BYTES, as any reply of one.
import { MAX_IDEMPOTENCY_BYTES, MAX_IDEMPOTENCY_KEYS, readU53, Writer } from '@coppice/protocol'
import type { BytesPort, Index, Millis } from '@coppice/protocol'
import { AGENDA_ONCE, type Agenda } from './agenda.js'
import { hashKey } from './hash-index.js'
import type { ParsedOperation } from './operations.js'
import { endOf } from './session-table.js'
import type { Table } from './table.js'

const HEAD_BYTES = 20
/** So many first bytes of an operation are hashed a second time, beside the crc of all. */
const HASHED_BYTES = 4_096

export type Known = 'new' | 'same' | 'other'

export class IdempotencyTable {
  readonly table: Table
  /** Bytes of all keys and records. */
  bytes = 0
  readonly #agenda: Agenda
  readonly #port: BytesPort
  readonly #record = new Writer(128)
  readonly #head = new Writer(HEAD_BYTES)
  /** Of the last `find`. */
  #handle = 0

  constructor(table: Table, agenda: Agenda, port: BytesPort) {
    this.table = table
    this.#agenda = agenda
    this.#port = port
  }

  get full(): boolean {
    return this.table.count >= MAX_IDEMPOTENCY_KEYS || this.bytes >= MAX_IDEMPOTENCY_BYTES
  }

  /** Whether an operation with this idempotency key was done: this one, or another. */
  find(op: ParsedOperation, b: Uint8Array): Known {
    const handle = this.table.find(b, op.onceStart, op.onceEnd)
    this.#handle = handle
    if (handle === 0) return 'new'
    this.#describe(op, b)
    const mine = this.#record.buffer
    const head = this.#copyHead(handle)
    for (let i = 8; i < HEAD_BYTES; i++) if (mine[i] !== head[i]) return 'other'
    return 'same'
  }

  /** The answer given to the operation of the last `find`, which was the same. */
  writeReply(out: Writer): void {
    const at = out.length
    this.table.writeValue(this.#handle, out)
    out.buffer.copyWithin(at, at + HEAD_BYTES, out.length)
    out.length -= HEAD_BYTES
  }

  /** Remembers the reply in [start, end) of `reply` for the operation of the last `find`, which was new. */
  keep(
    index: Index,
    now: Millis,
    op: ParsedOperation,
    b: Uint8Array,
    reply: Uint8Array,
    start: number,
    end: number,
  ): void {
    const w = this.#record
    this.#describe(op, b)
    const expiry = endOf(now, op.keepMs)
    w.reset()
    w.u53(expiry)
    w.length = HEAD_BYTES
    w.rawRange(reply, start, end)
    if (op.anyValue) {
      w.u8(op.hasNext ? 1 : 0)
      if (op.hasNext) w.rawRange(b, op.nextStart, op.nextEnd)
    }
    this.table.put(0, index, b, op.onceStart, op.onceEnd, w.buffer, 0, w.length)
    this.#agenda.add(index, expiry, AGENDA_ONCE, b, op.onceStart, op.onceEnd)
    this.bytes += op.onceEnd - op.onceStart + w.length
  }

  remove(index: Index, key: Uint8Array, start: number, end: number): void {
    const handle = this.table.find(key, start, end)
    if (handle === 0) return
    this.bytes -= end - start + this.table.valueLengthOf(handle)
    this.#agenda.remove(index, readU53(this.#copyHead(handle), 0), AGENDA_ONCE, key, start, end)
    this.table.remove(handle, index)
  }

  /** What names the operation, into the record's head. */
  #describe(op: ParsedOperation, b: Uint8Array): void {
    // An update is the same whatever value its caller computed: the first one counts.
    const start = op.anyValue ? op.keyStart : op.innerStart
    const end = op.anyValue ? op.keyEnd : op.innerEnd
    const w = this.#record
    w.reset()
    w.u53(0)
    w.u32(((end - start) << 1) | (op.anyValue ? 1 : 0))
    w.u32(this.#port.crc32(b, start, end))
    w.u32(hashKey(b, start, Math.min(end, start + HASHED_BYTES)))
  }

  #copyHead(handle: number): Uint8Array {
    const w = this.#head
    w.reset()
    w.raw(this.table.valueOf(handle).subarray(0, HEAD_BYTES))
    return w.buffer
  }
}
