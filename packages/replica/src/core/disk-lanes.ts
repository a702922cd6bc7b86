// Two lanes to the disk (PROTOCOL 7): pieces of snapshots have their own, so that the log never waits for them. Within a lane writes are
// durable in the order in which they were begun; one that changes the marks or cuts the log waits for all that was begun before it.
import type { DiskWrite } from './io.js'

/** Whether an effect of these writes goes by the lane for bulk. */
export function isBulk(writes: readonly DiskWrite[]): boolean {
  return writes.length > 0 && writes.every(isBulkWrite)
}

function isBulkWrite(write: DiskWrite): boolean {
  switch (write.kind) {
    case 'snapshotBegin':
    case 'snapshotChunk':
    case 'snapshotCommit':
    case 'snapshotDrop':
    case 'cutPrefix':
      return true
    case 'record':
    case 'meta':
    case 'cutSuffix':
      return false
  }
}
