// Opens what segments there are and finds where the log ends (PROTOCOL 7): a torn end is cut, for nobody was told of it; damage in the
// middle is refused by name.
import { DecodeError, openRecord, type Index, type RecordHeader } from '@coppice/protocol'
import { nextTurn, nodeBytes } from '@coppice/runtime'
import { lastGeneration, limitOf, type Manifest } from '../manifest.js'
import { damaged, type LogMark } from '../store-marks.js'
import type { SegmentFiles } from './segment-files.js'
import type { Segment } from './segment.js'

/** What the marks in lmdb say of the log. */
export interface LogMarks extends LogMark {
  readonly manifest: Manifest
}

/** Every segment that may count, ascending, its records checked. Throws a StartupError that names what is damaged. */
export async function openSegments(path: string, files: SegmentFiles, marks: LogMarks): Promise<Segment[]> {
  const first = marks.manifest.stretches[0]!.generation
  const segments: Segment[] = []
  try {
    for (const number of files.numbers()) {
      // Dead, and not given back before the process ended; or not ready when it did.
      if (number < first || number > marks.prepared) {
        files.remove(number)
        continue
      }
      const segment = await files.open(number)
      segments.push(segment)
      findEnd(segment, marks.mixed)
      await nextTurn()
    }
    checkAllThere(files, segments, marks)
    checkWhole(path, segments, marks)
    // Only now: what is refused stays as it was found.
    for (const segment of segments) segment.cutTorn()
    return segments
  } catch (error) {
    for (const segment of segments) segment.close()
    throw error
  }
}

/** Walks over the frames of a segment up to the first that is not whole, and tells damage from the end. */
function findEnd(segment: Segment, mixed: number): void {
  for (const { at, marks, record } of segment.frames(undefined, segment.capacity)) {
    const header = wholeRecord(record)
    // Torn or damaged; or its marks did not get to the disk, so the effect it was part of never happened.
    if (header === undefined || marks > mixed) break
    if (!segment.empty && header.firstIndex !== segment.end)
      throw damaged(segment.path, `log record ${segment.end} is missing (the next one is ${header.firstIndex})`)
    segment.added(at, header.firstIndex, header.entries, record.length)
  }
  for (const head of segment.headsBehind(segment.at)) {
    segment.tornTo = head.end
    // It was written when everything up to here was durable, so what is not whole here was.
    if (head.group <= segment.at || head.marks > mixed) continue
    const which = segment.empty ? 'its first log record' : `log record ${segment.end}`
    throw damaged(segment.path, `${which} is damaged, and others follow it`)
  }
}

function wholeRecord(record: Uint8Array): RecordHeader | undefined {
  try {
    const header = openRecord(record, nodeBytes.crc32)
    return header.entries > 0 ? header : undefined
  } catch (error) {
    if (error instanceof DecodeError) return undefined
    throw error
  }
}

/**
 * Since the last cut of a suffix only segments wholly below a cut prefix were given back, so from there on none is missing; what is missing
 * before shows as a hole, or by the end that was written with that cut.
 */
function checkAllThere(files: SegmentFiles, segments: readonly Segment[], { manifest, prepared }: LogMarks): void {
  const { below, stretches } = manifest
  const last = lastGeneration(manifest)
  // Number of the one that must come next; Infinity: those before may have been given back.
  let expected = below === 0 || stretches.length > 1 ? last : Infinity
  for (const { number, empty, end } of segments) {
    if (number < last) continue
    if (number > expected) throw damaged(files.pathOf(expected), 'it is missing')
    if (expected < Infinity || (!empty && end > below)) expected = number + 1
  }
  if (prepared >= stretches[0]!.generation && segments.at(-1)?.number !== prepared)
    throw damaged(files.pathOf(prepared), 'it is missing')
}

/** Every record that counts is there, one behind the other, up to where the marks say that the log was written. */
function checkWhole(path: string, segments: readonly Segment[], { manifest, end }: LogMarks): void {
  let next: Index | undefined
  const broken = (): Error => damaged(path, `log record ${next} is damaged or missing`)
  for (const segment of segments) {
    const limit = limitOf(manifest, segment.number)
    if (segment.empty || segment.end <= manifest.below || segment.firstIndex >= limit) continue
    if (next !== undefined && segment.firstIndex !== next) throw broken()
    next = Math.min(segment.end, limit)
  }
  if (end === null) return
  if (next === undefined) throw damaged(path, `all log records are missing (the log ended at ${end})`)
  if (next < end) throw damaged(path, `log record ${next} is damaged or missing (the log was written up to ${end})`)
}
