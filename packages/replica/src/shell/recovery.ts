// Reads the whole store back, checking every byte of it, in slices short enough that sockets and timers of the process go on.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { GENESIS_NEXT } from '@coppice/protocol'
import { firstRecordKey, scanLog } from './log-reader.js'
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
  view: StoreView,
  sink: RecoverySink,
  onProgress: OnProgress,
): Promise<void> {
  await recoverSnapshot(t, view, sink, onProgress)
  await recoverLog(t, view, sink, onProgress)
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
  let sliceEnd = performance.now() + SLICE_MS
  for (let chunk = 0; chunk < header.chunks; chunk++) {
    const sealed = t.chunks.get([slot, chunk])
    if (sealed === undefined) throw damaged(t.path, `piece ${chunk} of ${header.chunks} of ${name} is missing`)
    const piece = openSealed(sealed)
    if (piece === undefined)
      throw damaged(t.path, `piece ${chunk} of ${header.chunks} of ${name} is damaged (its checksum differs)`)
    sink.snapshotChunk(header, chunk, piece)
    bytes += piece.length
    if (performance.now() < sliceEnd) continue
    onProgress({ phase: 'snapshot', bytes, totalBytes: header.totalBytes })
    await nextTurn()
    sliceEnd = performance.now() + SLICE_MS
  }
}

async function recoverLog(t: StoreTables, view: StoreView, sink: RecoverySink, onProgress: OnProgress): Promise<void> {
  const { manifest, end } = view
  const reached = manifest.snapshot?.header.index ?? GENESIS_NEXT
  const first = firstRecordKey(t, manifest)?.[1]
  if (first === undefined) {
    if (end !== null) throw damaged(t.path, `all log records are missing (the log ended at ${end})`)
    return
  }
  // The snapshot, or genesis, and the log must overlap or touch: between them nothing may be missing.
  if (first > reached) throw damaged(t.path, `log records from ${reached} to ${first} are missing`)
  let bytes = 0
  let next = first
  for (let more = true; more;) {
    const sliceEnd = performance.now() + SLICE_MS
    more = false
    let took = 0
    next = scanLog(t, manifest, next, (record) => {
      if (took > 0 && performance.now() > sliceEnd) {
        more = true
        return false
      }
      sink.record(record)
      took += record.length
      return true
    })
    bytes += took
    if (!more) break
    onProgress({ phase: 'log', bytes, totalBytes: 0 })
    await nextTurn()
  }
  if (next !== end) throw damaged(t.path, `the log ends at ${next}, but it was written up to ${end}`)
  if (next < reached) throw damaged(t.path, `log records from ${next} to ${reached} are missing`)
}
