// One durable write into an open file. Short ones are made on the spot while the disk answers fast: a hop to another thread and back costs
// more processor time, and often more time, than the disk does. A disk that was slow once is given its own thread for a while, so that
// it holds up nobody but those who wait for it (figures in DECISIONS.md).
import { fdatasync, fdatasyncSync, writev, writevSync } from 'node:fs'
import { O_DSYNC } from './segment.js'

/** Larger writes take their time on any disk. */
const MAX_SYNC_BYTES = 256 * 1024
/** A write on the spot that takes longer than this is the last one for a while. */
const SLOW_MS = 15
/** Writes by the thread before the disk is trusted: all of them must be faster than FAST_MS. */
const FIRST_TRIAL = 16
const LONGEST_TRIAL = 1_024
const FAST_MS = 8

export type Written = (error: Error | null) => void

export class DurableWriter {
  /** Writes that the thread has still to do fast before the next is made on the spot. */
  private trial = FIRST_TRIAL
  private nextTrial = FIRST_TRIAL

  /** Writes `buffers` one behind the other at `at`. `written` is called once they are on the disk, possibly before this returns. */
  write(fd: number, buffers: readonly Uint8Array[], bytes: number, at: number, written: Written): void {
    if (this.trial === 0 && bytes <= MAX_SYNC_BYTES) this.writeNow(fd, buffers, bytes, at, written)
    else this.writeAside(fd, buffers, bytes, at, written)
  }

  private writeNow(fd: number, buffers: readonly Uint8Array[], bytes: number, at: number, written: Written): void {
    const begun = performance.now()
    let error: Error | null = null
    try {
      const n = writevSync(fd, buffers as Uint8Array[], at)
      if (n !== bytes) error = cutShort(n, bytes)
      else if (O_DSYNC === 0) fdatasyncSync(fd)
    } catch (failure) {
      error = failure as Error
    }
    if (performance.now() - begun > SLOW_MS) {
      this.nextTrial = Math.min(this.nextTrial * 2, LONGEST_TRIAL)
      this.trial = this.nextTrial
    }
    written(error)
  }

  private writeAside(fd: number, buffers: readonly Uint8Array[], bytes: number, at: number, written: Written): void {
    const begun = performance.now()
    const finish = (error: Error | null): void => {
      if (bytes <= MAX_SYNC_BYTES) this.tried(performance.now() - begun)
      written(error)
    }
    writev(fd, buffers as Uint8Array[], at, (error, n) => {
      if (error !== null) finish(error)
      else if (n !== bytes) finish(cutShort(n, bytes))
      else if (O_DSYNC === 0) fdatasync(fd, finish)
      else finish(null)
    })
  }

  private tried(ms: number): void {
    if (ms > FAST_MS) this.trial = this.nextTrial
    else if (this.trial > 0) this.trial--
  }
}

function cutShort(n: number, bytes: number): Error {
  return new Error(`only ${n} of ${bytes} bytes could be written; the disk may be full`)
}
