// The order between writes and what waits for them: an acceptor answers only after its write, and all writes before it, are durable.
import { assert } from '@coppice/protocol'
import type { Millis } from '@coppice/protocol'
import type { FsyncMeter } from './fsync-meter.js'
import type { RegisterWrite } from './io.js'

interface Pending {
  readonly token: number
  readonly begunAt: Millis
  readonly waiting: (() => void)[]
}

export class DurableWrites {
  /** Writes begun and not yet durable, oldest first. */
  private readonly pending: Pending[] = []
  private lastToken = 0
  private readonly begin: (token: number, writes: readonly RegisterWrite[]) => void
  private readonly fsyncs: FsyncMeter

  constructor(begin: (token: number, writes: readonly RegisterWrite[]) => void, fsyncs: FsyncMeter) {
    this.begin = begin
    this.fsyncs = fsyncs
  }

  /** Something is not durable yet. */
  get busy(): boolean {
    return this.pending.length > 0
  }

  /** Runs `then` when `writes`, and everything written before them, are durable. */
  after(now: Millis, writes: readonly RegisterWrite[], then: () => void): void {
    if (writes.length > 0) {
      const token = ++this.lastToken
      this.pending.push({ token, begunAt: now, waiting: [then] })
      return this.begin(token, writes)
    }
    const last = this.pending.at(-1)
    if (last === undefined) then()
    else last.waiting.push(then)
  }

  onWritten(now: Millis, token: number): void {
    const done = this.pending.shift()
    assert(done?.token === token, `writes become durable in their order (got ${token})`)
    this.fsyncs.add(now - done.begunAt)
    for (const run of done.waiting) run()
  }
}
