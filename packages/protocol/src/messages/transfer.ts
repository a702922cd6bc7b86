// Answers of a transfer (PROTOCOL 5): log records and snapshot chunks, hand-encoded because they carry bytes. They travel as bulk.
import type { Index } from '../ids.js'
import type { Lineage } from '../lineage.js'

/** Whole records [from, next), concatenated. `next == from` with `end`: nothing more to ship. */
export interface LogChunkMessage {
  readonly kind: 'logChunk'
  readonly token: number
  readonly from: Index
  readonly next: Index
  /** True: nothing further up to what was asked for. */
  readonly end: boolean
  readonly records: Uint8Array
}
/** Chunk `chunk` of `chunks` of a committed snapshot of all entries below `index`. */
export interface SnapshotChunkMessage {
  readonly kind: 'snapshotChunk'
  readonly token: number
  readonly snapshotId: string
  readonly index: Index
  readonly lineage: Lineage
  readonly chunk: number
  readonly chunks: number
  readonly totalBytes: number
  readonly crc: number
  readonly bytes: Uint8Array
}
/** What carries a transfer's bytes. */
export type TransferMessage = LogChunkMessage | SnapshotChunkMessage
