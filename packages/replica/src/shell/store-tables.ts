// Where things lie in the store: three tables of one lmdb environment, so that one transaction covers them.
//
//   marks    name                          a small value (store-marks.ts)
//   chunks   [slot, chunk]                 a piece of a snapshot: u32 CRC · bytes
//   log      [generation, firstIndex]      a record, which brings its own CRC
import type { Index } from '@coppice/protocol'
import type { Lmdb, LmdbTable } from '@coppice/runtime/server'

export const TABLES = ['marks', 'chunks', 'log'] as const

export interface StoreTables {
  /** Path of the environment's file, for messages. */
  readonly path: string
  readonly marks: LmdbTable
  readonly chunks: LmdbTable
  readonly log: LmdbTable
}

export type ChunkKey = [slot: number, chunk: number]
export type RecordKey = [generation: number, firstIndex: Index]
/** Keys of the two big tables look alike: a number that is never used again, then a position. */
export type PairKey = ChunkKey | RecordKey

export function tablesOf(lmdb: Lmdb, path: string): StoreTables {
  return { path, marks: lmdb.table('marks'), chunks: lmdb.table('chunks'), log: lmdb.table('log') }
}

/** The second number of a key of `chunks` or `log`. */
export function positionOf(key: unknown): number {
  return (key as PairKey)[1]
}
