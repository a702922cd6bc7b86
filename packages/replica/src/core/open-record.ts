// The record being filled (PROTOCOL 5, 7): the primary copies every admitted run into it once; closed, its bytes are what the
// disk, the backups and every later transfer see.
import {
  MAX_RECORD_BYTES,
  RECORD_HEADER_BYTES,
  RUN_BARRIER,
  RUN_EXPIRE,
  RUN_REGISTER,
  RUN_REQUESTS,
  RUN_SKIP,
  RUN_TICK,
  RUN_TOUCH,
  Writer,
  sealRecord,
} from '@coppice/protocol'
import type { BytesPort, ClerkId, Epoch, Index, Millis, RequestId } from '@coppice/protocol'

/** Room kept between records; it grows to the size of ordinary ones. */
const BUFFER_BYTES = 64 * 1024

/** The bytes of one record for those who come back to them: in the buffer of the open record until it is closed. */
export interface RecordContents {
  closed: Uint8Array | undefined
}

export class OpenRecord {
  entries = 0
  firstIndex: Index = 0
  /** The log's time for all its entries. */
  elapsedMs: Millis = 0
  openedAt: Millis = 0
  contents: RecordContents = { closed: undefined }
  readonly #writer = new Writer(BUFFER_BYTES)
  readonly #bytes: BytesPort

  constructor(bytes: BytesPort) {
    this.#bytes = bytes
    this.#writer.grow(RECORD_HEADER_BYTES)
  }

  get length(): number {
    return this.#writer.length
  }

  get buffer(): Uint8Array {
    return this.#writer.buffer
  }

  begin(firstIndex: Index, elapsedMs: Millis, now: Millis): void {
    this.firstIndex = firstIndex
    this.elapsedMs = elapsedMs
    this.openedAt = now
  }

  /** Adds a run; answers where its operations begin in the record. */
  requests(
    clerkId: ClerkId,
    first: RequestId,
    firstIncomplete: RequestId,
    count: number,
    ops: Uint8Array,
    start: number,
    end: number,
  ): number {
    const w = this.#writer
    w.u8(RUN_REQUESTS)
    w.u53(clerkId)
    w.u53(first)
    w.u53(firstIncomplete)
    w.u32(count)
    w.u32(end - start)
    const opsStart = w.length
    w.rawRange(ops, start, end)
    this.entries += count
    return opsStart
  }

  register(nonce: Uint8Array): void {
    this.#writer.u8(RUN_REGISTER)
    this.#writer.raw(nonce)
    this.entries++
  }

  skip(clerkId: ClerkId, from: RequestId, to: RequestId, firstIncomplete: RequestId): void {
    const w = this.#writer
    w.u8(RUN_SKIP)
    w.u53(clerkId)
    w.u53(from)
    w.u53(to)
    w.u53(firstIncomplete)
    this.entries++
  }

  clerks(kind: 'touch' | 'expire', clerkIds: readonly ClerkId[]): void {
    const w = this.#writer
    w.u8(kind === 'touch' ? RUN_TOUCH : RUN_EXPIRE)
    w.u32(clerkIds.length)
    for (const id of clerkIds) w.u53(id)
    this.entries++
  }

  barrier(): void {
    this.#writer.u8(RUN_BARRIER)
    this.entries++
  }

  tick(): void {
    this.#writer.u8(RUN_TICK)
    this.entries++
  }

  /** Closes it and gives its bytes away; the next record begins empty. */
  close(epoch: Epoch): Uint8Array {
    const large = this.#writer.length > MAX_RECORD_BYTES
    const record = large ? this.#writer.giveAway(BUFFER_BYTES) : this.#writer.take()
    const { firstIndex, entries, elapsedMs } = this
    sealRecord(record, { epoch, firstIndex, entries, elapsedMs }, this.#bytes.crc32)
    this.contents.closed = record
    this.contents = { closed: undefined }
    this.entries = 0
    this.#writer.reset()
    this.#writer.grow(RECORD_HEADER_BYTES)
    return record
  }
}
