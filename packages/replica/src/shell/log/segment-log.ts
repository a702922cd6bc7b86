// The log as a row of segments (PROTOCOL 7). Which of their records count is said by the manifest: a cut suffix begins a new segment, a cut
// prefix gives back the segments that lie wholly below it.
import { DecodeError, openRecord, type Index, type RecordHeader } from '@coppice/protocol'
import { nodeBytes } from '@coppice/runtime'
import type { Manifest } from '../manifest.js'
import { lastGeneration, limitOf } from '../manifest.js'
import { damaged } from '../store-marks.js'
import { LogWriter } from './log-writer.js'
import { openSegments, type LogMarks } from './open-segments.js'
import type { SegmentFiles } from './segment-files.js'
import type { Segment } from './segment.js'

export interface SegmentLogPorts {
  /** Segments up to `number` are ready: resolves when that is durable. */
  readonly prepared: (number: number) => Promise<void>
  /** Called once: nothing is written afterwards. */
  readonly failed: (error: Error) => void
}

export interface LogRecord {
  readonly header: RecordHeader
  readonly record: Uint8Array
}

export class SegmentLog {
  readonly writer: LogWriter
  /** Of the store, for messages. */
  readonly path: string
  private readonly files: SegmentFiles
  /** Ascending by number; the last one is written to. */
  private readonly segments: Segment[]
  /** Ready for what comes after the last one, or being made ready, by number. */
  private readonly ready: Map<number, Promise<Segment>>
  private retiring: Promise<void> = Promise.resolve()

  private constructor(
    path: string,
    files: SegmentFiles,
    segments: Segment[],
    ready: Map<number, Promise<Segment>>,
    writer: LogWriter,
  ) {
    this.path = path
    this.files = files
    this.segments = segments
    this.ready = ready
    this.writer = writer
  }

  /**
   * Opens the segments and finds where the log ends, checking every record. Throws a StartupError that names what is damaged. `path`: of
   * the store, for messages.
   */
  static async open(path: string, files: SegmentFiles, marks: LogMarks, ports: SegmentLogPorts): Promise<SegmentLog> {
    const ready = new Map<number, Promise<Segment>>()
    const next = async (number: number): Promise<Segment> => {
      const known = ready.get(number)
      if (known !== undefined) return known
      const preparing = files.prepare(number)
      ready.set(number, preparing)
      const segment = await preparing
      await ports.prepared(number)
      return segment
    }
    const found = await openSegments(path, files, marks)
    const lastUsed = found.findLastIndex((s) => !s.empty)
    const segments = found.slice(0, Math.max(lastUsed, 0) + 1)
    for (const segment of found.slice(segments.length)) ready.set(segment.number, Promise.resolve(segment))
    const opened = (segment: Segment): void => {
      ready.delete(segment.number)
      segments.push(segment)
    }
    if (segments.length === 0) opened(await next(marks.prepared + 1))
    const writer = new LogWriter(segments.at(-1)!, { next, opened, failed: ports.failed })
    writer.goOnAt(lastGeneration(marks.manifest))
    return new SegmentLog(path, files, segments, ready, writer)
  }

  /** Exclusive end of what counts; null: nothing does. */
  end(m: Manifest): Index | null {
    let end: Index | null = null
    for (const segment of this.countedSegments(m)) end = Math.min(segment.end, limitOf(m, segment.number))
    return end
  }

  /** First index of the first record that counts: the one that holds `below`, or the first above it; undefined: there is none. */
  first(m: Manifest): Index | undefined {
    for (const { header } of this.records(m, m.below)) return header.firstIndex
    return undefined
  }

  /** Whether a record that counts begins at `index`. */
  isBoundary(m: Manifest, index: Index): boolean {
    for (const { header } of this.records(m, index)) return header.firstIndex === index
    return false
  }

  /** Records from the one that holds `from` on, in order, each checked. Throws on a hole or a damaged record. */
  *records(m: Manifest, from: Index): Generator<LogRecord, void, void> {
    let next: Index | undefined
    for (const segment of this.countedSegments(m)) {
      const end = Math.min(segment.end, limitOf(m, segment.number))
      if (end <= from) continue
      const place = segment.placeBefore(from)
      let walked = place.firstIndex
      if (next !== undefined && walked > next) throw damaged(segment.path, `log record ${next} is missing`)
      for (const { record } of segment.frames(place.at)) {
        if (walked >= end) break
        const header = check(segment.path, record, walked)
        walked += header.entries
        if (walked > end) throw damaged(segment.path, `log record ${header.firstIndex} reaches over the cut at ${end}`)
        if (walked <= from) continue
        yield { header, record }
      }
      // What ended here when it was opened must still be there.
      if (walked < end) throw damaged(segment.path, `log record ${walked} is damaged`)
      next = walked
    }
  }

  /** Gives back the segments in which nothing counts any more. */
  retireDead(m: Manifest): Promise<void> {
    const dead = this.segments.slice(0, -1).filter((s) => !isCounted(m, s))
    // All at once: the next cut may come while these are given back, and must not find them.
    for (const segment of dead) this.segments.splice(this.segments.indexOf(segment), 1)
    const retired = this.retiring.then(async () => {
      for (const segment of dead) await this.files.retire(segment)
    })
    this.retiring = retired.catch(() => undefined)
    return retired
  }

  /** Nothing is written afterwards, nothing is under way, and no file is open. */
  async close(): Promise<void> {
    await this.writer.stop()
    await this.retiring
    for (const segment of this.segments) segment.close()
    // What could not be made ready holds no file; why is told to whoever needed it.
    for (const preparing of this.ready.values()) (await preparing.catch(() => undefined))?.close()
  }

  private *countedSegments(m: Manifest): Generator<Segment, void, void> {
    for (const segment of [...this.segments]) if (!segment.empty && isCounted(m, segment)) yield segment
  }
}

/** Throws when it is damaged, naming it. */
function check(path: string, record: Uint8Array, expected: Index): RecordHeader {
  try {
    const header = openRecord(record, nodeBytes.crc32)
    if (header.firstIndex !== expected) throw new DecodeError(`it says that it begins at ${header.firstIndex}`)
    if (header.entries < 1) throw new DecodeError('it has no entries')
    return header
  } catch (error) {
    if (error instanceof DecodeError) throw damaged(path, `log record ${expected} is damaged (${error.message})`)
    throw error
  }
}

/** Whether a record in it may count; what is not written yet does. */
function isCounted(m: Manifest, segment: Segment): boolean {
  if (segment.number < m.stretches[0]!.generation) return false
  return segment.empty || (segment.end > m.below && segment.firstIndex < limitOf(m, segment.number))
}
