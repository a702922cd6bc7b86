// Opens the store of a data directory, or formats a fresh one; refuses a directory that is not this replica's, each time naming what
// is wrong. A fresh store has a random storeId: an empty one never stands in for a lost one (PROTOCOL P7).
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { ClusterId, GroupName, NodeId } from '@coppice/protocol'
import { randomId } from '@coppice/runtime'
import { lockDataDir, openLmdb, StartupError } from '@coppice/runtime/server'
import { formatMeta } from '../core/meta.js'
import { checkLmdbHeader } from './lmdb-header.js'
import { SegmentFiles } from './log/segment-files.js'
import { DiskStore } from './disk-store.js'
import { FRESH_MANIFEST } from './manifest.js'
import { damaged, needMark, putMark, readMark, STORE_FORMAT, STORE_KIND } from './store-marks.js'
import { TABLES, tablesOf, type StoreTables } from './store-tables.js'

/** The lmdb file in a data directory: marks and snapshots. */
export const STORE_FILE = 'replica.lmdb'
/** Directory of the log's segments. */
export const LOG_DIR = 'log'

/** Whose store is to be opened. */
export interface StoreIdentity {
  readonly id: NodeId
  readonly group: GroupName
  /** Refuse the store of another cluster; undefined: whichever it belongs to. */
  readonly clusterId?: ClusterId | undefined
}

/** Takes the directory for this process and opens its store. Rejects with a StartupError that says why it cannot be used. */
export async function openReplicaStore(dataDir: string, identity: StoreIdentity): Promise<DiskStore> {
  const lock = await lockDataDir(dataDir, `replica ${identity.id}`)
  const path = join(dataDir, STORE_FILE)
  let store: DiskStore | undefined
  try {
    refuseOtherStores(dataDir)
    checkLmdbHeader(path)
    let onFailure!: (reason: string) => void
    const failed = new Promise<never>((_, reject) => {
      onFailure = (reason) => {
        store?.fail(`${path}: ${reason}`)
        reject(new StartupError('STORE_UNUSABLE', `store ${path} cannot be opened: ${reason}`))
      }
    })
    // Once the store is open it tells of its failures by itself.
    failed.catch(() => undefined)
    const lmdb = openLmdb(path, { tables: TABLES, onFailure })
    const tables = tablesOf(lmdb, path)
    try {
      if (isFresh(tables)) {
        const formatted = new Promise<void>((resolve) => lmdb.commit(() => format(tables, identity), resolve))
        await Promise.race([formatted, failed])
      }
      refuseForeign(tables, dataDir, identity)
      const files = new SegmentFiles(join(dataDir, LOG_DIR), needMark(tables, 'meta').storeId)
      store = await Promise.race([DiskStore.open(lmdb, tables, files, () => lock.release()), failed])
      return store
    } catch (error) {
      await lmdb.close()
      throw asStartupError(path, error)
    }
  } catch (error) {
    lock.release()
    throw error
  }
}

/** A directory with another kind of store is somebody else's, probably a mistyped path. */
function refuseOtherStores(dataDir: string): void {
  if (existsSync(join(dataDir, STORE_FILE))) return
  const other = readdirSync(dataDir).find((name) => /\.(lmdb|mdb)$/.test(name))
  if (other === undefined) return
  throw new StartupError(
    'STORE_UNUSABLE',
    `data directory ${dataDir} holds another server's store (${other}) and no replica's; give this replica a directory of its own`,
  )
}

/** Never formatted, or the process ended before formatting was durable: then nothing else is there either. */
function isFresh(t: StoreTables): boolean {
  for (const table of [t.marks, t.chunks]) for (const _ of table.keys({ limit: 1 })) return false
  return true
}

function format(t: StoreTables, identity: StoreIdentity): void {
  putMark(t, 'format', { kind: STORE_KIND, format: STORE_FORMAT })
  putMark(t, 'meta', formatMeta({ id: identity.id, group: identity.group, storeId: randomId() }))
  putMark(t, 'manifest', FRESH_MANIFEST)
  putMark(t, 'log', { end: null, mixed: 0, prepared: 0 })
}

function refuseForeign(t: StoreTables, dataDir: string, identity: StoreIdentity): void {
  const refuse = (what: string): never => {
    throw new StartupError('STORE_UNUSABLE', `data directory ${dataDir} ${what}`)
  }
  const found = readMark(t, 'format')
  if (found === undefined) throw damaged(t.path, 'the mark "format" is missing')
  if (found.kind !== STORE_KIND) refuse(`holds a store of kind "${found.kind}", not of a replica`)
  if (found.format !== STORE_FORMAT) {
    refuse(`has store format ${found.format}; this version of Coppice reads format ${STORE_FORMAT}`)
  }
  const meta = needMark(t, 'meta')
  if (meta.id !== identity.id) refuse(`belongs to replica "${meta.id}", not to "${identity.id}"`)
  if (meta.group !== identity.group) refuse(`belongs to group "${meta.group}", not to "${identity.group}"`)
  const { clusterId } = identity
  // '' : formatted, but no config service has told it its cluster yet.
  if (clusterId !== undefined && clusterId !== '' && meta.clusterId !== '' && meta.clusterId !== clusterId) {
    refuse(`belongs to cluster ${meta.clusterId}, not to ${clusterId}`)
  }
}

function asStartupError(path: string, error: unknown): StartupError {
  if (error instanceof StartupError) return error
  // What the system refuses (a full disk, a lacking permission) says nothing about what the store holds.
  if (error instanceof Error && 'syscall' in error)
    return new StartupError('STORE_UNUSABLE', `store ${path} cannot be opened: ${error.message}`, error)
  // lmdb's own complaints about its pages.
  return damaged(path, (error as Error).message)
}
