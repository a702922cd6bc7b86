// The small values beside the log: what kind of store this is, the replica's durable marks, the manifest and what is known of the log. Each
// carries its own checksum. The end of the log is written with every other mark and at an orderly close, so that a log which lost records
// without a trace is noticed: a store that forgot what it acknowledged must never serve as a source.
import type { Index } from '@coppice/protocol'
import { StartupError } from '@coppice/runtime/server'
import type { ReplicaMeta } from '../core/io.js'
import { checkManifest, type Manifest } from './manifest.js'
import { openSealed, sealJson } from './sealed-bytes.js'
import type { StoreTables } from './store-tables.js'

/** Version of the layout of store-tables.ts and of the values in it. */
export const STORE_FORMAT = 2
export const STORE_KIND = 'coppice-replica'

/** What lmdb knows of the segments. */
export interface LogMark {
  /** The log reached at least to here (exclusive); null: it had no record. */
  readonly end: Index | null
  /** Number of the last effect that held records and marks, and is whole. */
  readonly mixed: number
  /** Segments up to this number were made ready. */
  readonly prepared: number
}

interface Marks {
  format: { readonly kind: string; readonly format: number }
  meta: ReplicaMeta
  manifest: Manifest
  log: LogMark
}
type MarkName = keyof Marks

/** Inside a commit. */
export function putMark<N extends MarkName>(t: StoreTables, name: N, value: Marks[N]): void {
  t.marks.put(name, sealJson(value))
}

/** What is on the disk cannot be trusted: names the place and says what to do. */
export function damaged(path: string, what: string): StartupError {
  return new StartupError(
    'STORE_UNUSABLE',
    `${path}: ${what}. This store cannot be trusted and is not used. If the group has other members, remove this data ` +
      'directory: the server then registers as a new one and its peers fill it.',
  )
}

export function readMark<N extends MarkName>(t: StoreTables, name: N): Marks[N] | undefined {
  const sealed = t.marks.get(name)
  if (sealed === undefined) return undefined
  const bytes = openSealed(sealed)
  if (bytes === undefined) throw damaged(t.path, `the mark "${name}" is damaged (its checksum differs)`)
  return JSON.parse(Buffer.from(bytes).toString('utf8')) as Marks[N]
}

export function needMark<N extends MarkName>(t: StoreTables, name: N): Marks[N] {
  const value = readMark(t, name)
  if (value === undefined) throw damaged(t.path, `the mark "${name}" is missing`)
  return value
}

export function readManifest(t: StoreTables): Manifest {
  const manifest = needMark(t, 'manifest')
  try {
    checkManifest(manifest)
  } catch (error) {
    throw damaged(t.path, `the manifest contradicts itself (${(error as Error).message})`)
  }
  return manifest
}
