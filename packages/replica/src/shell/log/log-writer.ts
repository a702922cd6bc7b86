// Appends records to the segments, durably, in order, in groups (PROTOCOL 7): what waits while a write is under way goes into the next one,
// which is one system call. The next segment is prepared while the present one is filled.
import { afterSending } from '@coppice/runtime/server'
import type { Index } from '@coppice/protocol'
import { DurableWriter } from './durable-write.js'
import { FRAME_BYTES, writeFrameHead } from './segment-format.js'
import type { Segment } from './segment.js'

/** Records of one write: two buffers each, and systems take 1,024 at once. */
const MAX_GROUP_RECORDS = 256
/** Bytes of one write, unless one record alone is larger. */
const MAX_GROUP_BYTES = 4 * 1024 * 1024

export interface WriterPorts {
  /** Segment `number`, durably ready to be written; rejects when the disk does not let it. */
  readonly next: (number: number) => Promise<Segment>
  /** From here on records go to this one. */
  readonly opened: (segment: Segment) => void
  /** Called once: nothing is written afterwards. */
  readonly failed: (error: Error) => void
}

interface Waiting {
  readonly firstIndex: Index
  readonly entries: number
  readonly bytes: Uint8Array
  readonly marks: number
  readonly durable: (() => void) | undefined
}

export class LogWriter {
  private readonly ports: WriterPorts
  private readonly disk = new DurableWriter()
  private segment: Segment
  private queue: Waiting[] = []
  private head = 0
  private busy = false
  private writing = false
  private whenWritten: (() => void) | undefined
  private scheduled = false
  private stopped = false
  private least = 0
  private upcoming: Promise<Segment> | undefined
  private readonly heads: Uint8Array[] = Array.from({ length: MAX_GROUP_RECORDS }, () => new Uint8Array(FRAME_BYTES))

  constructor(segment: Segment, ports: WriterPorts) {
    this.segment = segment
    this.ports = ports
  }

  /** Queues one record; `durable` is called when it, and everything queued before it, is on the disk. */
  append(firstIndex: Index, entries: number, bytes: Uint8Array, marks: number, durable?: () => void): void {
    if (this.stopped) return
    this.queue.push({ firstIndex, entries, bytes, marks, durable })
    this.schedule()
  }

  /** The number of the segment that a record appended after a cut goes to. Only while idle. */
  get numberAfterCut(): number {
    return this.segment.empty ? this.segment.number : this.segment.number + 1
  }

  /** Nothing more is appended to segments below `number`: the log was cut. */
  goOnAt(number: number): void {
    this.least = number
  }

  /** Nothing more is written; resolves once the disk has let go of what was under way: only then may the file be closed. */
  async stop(): Promise<void> {
    this.stopped = true
    if (this.writing) await new Promise<void>((resolve) => (this.whenWritten = resolve))
  }

  private schedule(): void {
    if (this.scheduled || this.busy) return
    this.scheduled = true
    afterSending(this.run)
  }

  private readonly run = (): void => {
    this.scheduled = false
    if (!this.busy) this.writeGroup()
  }

  private writeGroup(): void {
    const { queue, segment } = this
    if (this.head === queue.length || this.stopped) return
    const from = this.head
    const at = segment.at
    const buffers: Uint8Array[] = []
    let bytes = 0
    let to = from
    for (; to < queue.length && to - from < MAX_GROUP_RECORDS; to++) {
      const { bytes: record, marks } = queue[to]!
      const size = FRAME_BYTES + record.length
      // A record larger than a segment makes an empty one longer.
      if (at + bytes + size > segment.capacity && !(segment.empty && bytes === 0)) break
      if (bytes > 0 && bytes + size > MAX_GROUP_BYTES) break
      const head = this.heads[to - from]!
      writeFrameHead(head, segment.tag, at, marks, record.length)
      buffers.push(head, record)
      bytes += size
    }
    this.busy = true
    if (to === from || segment.number < this.least) {
      this.goOn().then(
        () => {
          this.busy = false
          this.writeGroup()
        },
        (error: Error) => this.fail(error),
      )
      return
    }
    this.writing = true
    this.disk.write(segment.fd, buffers, bytes, at, (error) => {
      this.writing = false
      if (this.stopped) this.whenWritten?.()
      else if (error === null) this.onWritten(from, to)
      else this.fail(error)
    })
  }

  private onWritten(from: number, to: number): void {
    const { queue, segment } = this
    for (let i = from; i < to; i++) {
      const { firstIndex, entries, bytes } = queue[i]!
      segment.added(segment.at, firstIndex, entries, bytes.length)
    }
    this.head = to
    this.busy = false
    if (to === queue.length) {
      this.queue = []
      this.head = 0
    } else if (to > 1_024) {
      this.queue = queue.slice(to)
      this.head = 0
    }
    // The disk works on while the completions are processed, unless it would hold them up.
    if (this.head < this.queue.length) this.schedule()
    if (this.upcoming === undefined) this.prepare()
    for (let i = from; i < to; i++) queue[i]!.durable?.()
  }

  private prepare(): void {
    this.upcoming = this.ports.next(this.segment.number + 1)
    this.upcoming.catch((error: Error) => this.fail(error))
  }

  private async goOn(): Promise<void> {
    if (this.upcoming === undefined) this.prepare()
    const next = await this.upcoming!
    if (this.stopped) return
    this.upcoming = undefined
    this.segment = next
    this.ports.opened(next)
  }

  private fail(error: Error): void {
    if (this.stopped) return
    this.stopped = true
    this.ports.failed(error)
  }
}
