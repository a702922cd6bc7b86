// One history per epoch (I2): one proposing incarnation, one checkpoint, and records that are equal wherever (epoch, index) is equal.
// Each record is compared once, with the first one seen at its place; its predecessor too, so equality reaches back by induction.
import { readRecordHeader, readU32 } from '@coppice/protocol'
import type { Epoch, Index } from '@coppice/protocol'
import { check } from '../kernel/violation.js'

interface Seen {
  readonly crc: number
  readonly length: number
  readonly prevEpoch: Epoch
}

const TWO_32 = 0x1_0000_0000

export class Logs {
  readonly #seen = new Map<number, Seen>()
  readonly #proposers = new Map<Epoch, string>()
  readonly #entered = new Map<Epoch, { checkpointId: string; start: Index }>()

  /** `node` begins to write a record; `prevEpoch` is the epoch of the entry before it, −1 when unknown. */
  record(node: string, bytes: Uint8Array, prevEpoch: Epoch): void {
    const header = readRecordHeader(bytes)
    const key = header.epoch * TWO_32 + header.firstIndex
    const crc = readU32(bytes, 4)
    const seen = this.#seen.get(key)
    if (seen === undefined) {
      this.#seen.set(key, { crc, length: bytes.length, prevEpoch })
      return
    }
    check(seen.crc === crc && seen.length === bytes.length, 'I2', () => {
      return `${node}: another record at (${header.epoch}, ${header.firstIndex}) than the one seen there before`
    })
    check(seen.prevEpoch === prevEpoch || prevEpoch < 0 || seen.prevEpoch < 0, 'I2', () => {
      return `${node}: before (${header.epoch}, ${header.firstIndex}) lies epoch ${prevEpoch}, elsewhere ${seen.prevEpoch}`
    })
  }

  /** `incarnation` proposes in `epoch`. */
  proposes(epoch: Epoch, incarnation: string): void {
    const before = this.#proposers.get(epoch)
    if (before === incarnation) return
    check(before === undefined, 'I2', () => `${incarnation} proposes in epoch ${epoch}, as ${before} did`)
    this.#proposers.set(epoch, incarnation)
  }

  /** The incarnation that proposed in `epoch`; undefined: none has. */
  proposer(epoch: Epoch): string | undefined {
    return this.#proposers.get(epoch)
  }

  /** A store entered `epoch`. */
  entered(node: string, epoch: Epoch, checkpointId: string, start: Index): void {
    const before = this.#entered.get(epoch)
    if (before === undefined) {
      this.#entered.set(epoch, { checkpointId, start })
      return
    }
    check(before.checkpointId === checkpointId && before.start === start, 'I2', () => {
      return `${node} entered epoch ${epoch} with checkpoint ${checkpointId} at ${start}, another one with ${before.checkpointId} at ${before.start}`
    })
  }
}
