// How slow this server's disk is: P5 wants election timeouts of at least ten times the 99.9th percentile of an fsync.
import type { Millis } from '@coppice/protocol'

const WINDOW = 500

/** Keeps the worst of the last 500 to 1,000 durations, which stands for their p99.9. */
export class FsyncMeter {
  private count = 0
  private worstNow = 0
  private worstBefore = 0

  add(durationMs: Millis): void {
    this.worstNow = Math.max(this.worstNow, durationMs)
    if (++this.count < WINDOW) return
    this.worstBefore = this.worstNow
    this.worstNow = 0
    this.count = 0
  }

  get worstMs(): Millis {
    return Math.max(this.worstNow, this.worstBefore)
  }
}
