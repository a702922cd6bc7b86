// Reads the whole store back, checking every byte of it, in slices short enough that sockets and timers of the process go on.
import { assert, GENESIS_NEXT, type Index } from '@coppice/protocol'
import { monotonicMs, nextTurn } from '@coppice/runtime'
import type { SegmentLog } from './log/segment-log.js'
import { openSealed } from './sealed-bytes.js'
import type { RecoveryProgress, RecoverySink } from './storage.js'
import type { StoreView } from './store-image.js'
import { damaged } from './store-marks.js'
import type { StoreTables } from './store-tables.js'

/** A slice ends with the first piece after this long. */
const SLICE_MS = 8

type OnProgress = (progress: RecoveryProgress) => void

export async function recoverStore(
  t: StoreTables,
  log: SegmentLog,
  view: StoreView,
  sink: RecoverySink,
  known: string | undefined,
  onProgress: OnProgress,
): Promise<void> {
  if (known === undefined) await recoverSnapshot(t, view, sink, onProgress)
  else assert(view.manifest.snapshot?.header.snapshotId === known, `snapshot ${known} is the one on the disk`)
  await recoverLog(log, view, sink, onProgress)
}

async function recoverSnapshot(
  t: StoreTables,
  view: StoreView,
  sink: RecoverySink,
  onProgress: OnProgress,
): Promise<void> {
  const { snapshot } = view.manifest
  if (snapshot === null) return
  const { slot, header } = snapshot
  const name = `snapshot ${header.snapshotId}`
  let bytes = 0
  let sliceEnd = monotonicMs() + SLICE_MS
  for (let chunk = 0; chunk < header.chunks; chunk++) {
    const sealed = t.chunks.get([slot, chunk])
    if (sealed === undefined) throw damaged(t.path, `piece ${chunk} of ${header.chunks} of ${name} is missing`)
    const piece = openSealed(sealed)
    if (piece === undefined)
      throw damaged(t.path, `piece ${chunk} of ${header.chunks} of ${name} is damaged (its checksum differs)`)
    sink.snapshotChunk(header, chunk, piece)
    bytes += piece.length
    if (monotonicMs() < sliceEnd) continue
    onProgress({ phase: 'snapshot', bytes, totalBytes: header.totalBytes })
    await nextTurn()
    sliceEnd = monotonicMs() + SLICE_MS
  }
}

async function recoverLog(log: SegmentLog, view: StoreView, sink: RecoverySink, onProgress: OnProgress): Promise<void> {
  const { manifest } = view
  const reached = manifest.snapshot?.header.index ?? GENESIS_NEXT
  let next: Index | undefined
  let bytes = 0
  let sliceEnd = monotonicMs() + SLICE_MS
  for (const { header, record } of log.records(manifest, manifest.below)) {
    // The snapshot, or genesis, and the log must overlap or touch: between them nothing may be missing.
    if (next === undefined && header.firstIndex > reached)
      throw damaged(log.path, `log records from ${reached} to ${header.firstIndex} are missing`)
    sink.record(record)
    next = header.firstIndex + header.entries
    bytes += record.length
    if (monotonicMs() < sliceEnd) continue
    onProgress({ phase: 'log', bytes, totalBytes: 0 })
    await nextTurn()
    sliceEnd = monotonicMs() + SLICE_MS
  }
  if (next !== undefined && next < reached)
    throw damaged(log.path, `log records from ${next} to ${reached} are missing`)
}
