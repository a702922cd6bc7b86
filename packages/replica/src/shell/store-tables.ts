// Where things lie in the store's lmdb environment: two tables, so that one transaction covers them. Log records lie in segments (log/).
//
//   marks    name                          a small value (store-marks.ts)
//   chunks   [slot, chunk]                 a piece of a snapshot: u32 CRC · bytes
import type { Lmdb, LmdbTable } from '@coppice/runtime/server'

export const TABLES = ['marks', 'chunks'] as const

export interface StoreTables {
  /** Path of the environment's file, for messages. */
  readonly path: string
  readonly marks: LmdbTable
  readonly chunks: LmdbTable
}

export type ChunkKey = [slot: number, chunk: number]

export function tablesOf(lmdb: Lmdb, path: string): StoreTables {
  return { path, marks: lmdb.table('marks'), chunks: lmdb.table('chunks') }
}

/** Number of the piece in a key of `chunks`. */
export function pieceOf(key: unknown): number {
  return (key as ChunkKey)[1]
}
