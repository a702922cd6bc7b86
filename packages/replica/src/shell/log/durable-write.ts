// One durable write into an open file: on the spot while that is cheaper for everybody, else by another thread (disk-trust.ts).
import { fdatasync, fdatasyncSync, writev, writevSync } from 'node:fs'
import { monotonicMs } from '@coppice/runtime'
import { DiskTrust } from './disk-trust.js'
import { O_DSYNC } from './segment.js'

/** Larger writes take their time on any disk. */
const MAX_BYTES_ON_THE_SPOT = 256 * 1024

export type Written = (error: Error | null) => void

export class DurableWriter {
  private readonly trust = new DiskTrust()

  /** Writes `buffers` one behind the other at `at`. `written` is called once they are on the disk, possibly before this returns. */
  write(fd: number, buffers: readonly Uint8Array[], bytes: number, at: number, written: Written): void {
    if (bytes > MAX_BYTES_ON_THE_SPOT) return writeAside(fd, buffers, bytes, at, written)
    if (this.trust.onTheSpot) {
      const begun = monotonicMs()
      const error = writeNow(fd, buffers, bytes, at)
      this.trust.wroteOnTheSpot(monotonicMs() - begun)
      return written(error)
    }
    this.trust.wroteAside()
    writeAside(fd, buffers, bytes, at, written)
  }
}

function writeNow(fd: number, buffers: readonly Uint8Array[], bytes: number, at: number): Error | null {
  try {
    const n = writevSync(fd, buffers as Uint8Array[], at)
    if (n !== bytes) return cutShort(n, bytes)
    if (O_DSYNC === 0) fdatasyncSync(fd)
    return null
  } catch (error) {
    return error as Error
  }
}

function writeAside(fd: number, buffers: readonly Uint8Array[], bytes: number, at: number, written: Written): void {
  writev(fd, buffers as Uint8Array[], at, (error, n) => {
    if (error !== null) written(error)
    else if (n !== bytes) written(cutShort(n, bytes))
    else if (O_DSYNC === 0) fdatasync(fd, written)
    else written(null)
  })
}

function cutShort(n: number, bytes: number): Error {
  return new Error(`only ${n} of ${bytes} bytes could be written; the disk may be full`)
}
