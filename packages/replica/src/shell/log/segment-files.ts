// The files of the log: finds them, prepares the next one ahead of its use, takes dead ones into use again. Preparing is slow (the file is
// written full of zeros and made durable), so it happens while the segment before is being filled.
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { open, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { randomSeed } from '@coppice/runtime'
import { damaged } from '../store-marks.js'
import { decodeHeader, encodeHeader, HEADER_BYTES } from './segment-format.js'
import { Segment } from './segment.js'

const MiB = 1024 * 1024
/** A segment's file; the first ones are smaller, so that a small store is a small directory. */
const SEGMENT_BYTES = 16 * MiB
const FIRST_SEGMENT_BYTES = MiB
/** Dead files kept to be used again, as many as a snapshot usually sets free; the rest is removed. */
const MAX_IDLE_FILES = 8
const ZEROS = new Uint8Array(MiB)
const NAME = /^(\d{8})\.log$/
const IDLE = /\.idle$/

/** Bytes of a segment's file, at the least. */
function sizeOf(number: number): number {
  return Math.min(SEGMENT_BYTES, FIRST_SEGMENT_BYTES * 2 ** Math.min(number - 1, 16))
}

export class SegmentFiles {
  readonly dir: string
  private readonly store: number
  private readonly idle: string[] = []
  private idleNumber = 0

  constructor(dir: string, storeId: string) {
    this.dir = dir
    this.store = crc32(storeId)
    mkdirSync(dir, { recursive: true })
    for (const name of readdirSync(dir)) if (IDLE.test(name)) rmSync(join(dir, name))
  }

  /** Numbers of the segments that are there, ascending. */
  numbers(): number[] {
    const found = readdirSync(this.dir).flatMap((name) => NAME.exec(name)?.[1] ?? [])
    return found.map(Number).sort((a, b) => a - b)
  }

  pathOf(number: number): string {
    return join(this.dir, `${String(number).padStart(8, '0')}.log`)
  }

  /** Opens a prepared segment. Throws a StartupError that names it when it cannot be what was prepared. */
  async open(number: number): Promise<Segment> {
    const path = this.pathOf(number)
    const file = await open(path, 'r')
    const bytes = new Uint8Array(HEADER_BYTES)
    try {
      await file.read(bytes, 0, HEADER_BYTES, 0)
    } finally {
      await file.close()
    }
    const header = decodeHeader(bytes)
    if (header?.number !== number) throw damaged(path, 'its header is damaged')
    if (header.store !== 0 && header.store !== this.store) throw damaged(path, 'it is a file of another store')
    const segment = new Segment(path, number, header.tag)
    if (segment.capacity >= sizeOf(number)) return segment
    segment.close()
    throw damaged(path, `it was cut short, to ${segment.capacity} bytes`)
  }

  /** Makes segment `number` ready to be written; resolves when it is durable that it is there. */
  async prepare(number: number): Promise<Segment> {
    const path = this.pathOf(number)
    const size = sizeOf(number)
    const again = this.idle.pop()
    if (again !== undefined && (await stat(again)).size >= size) await rename(again, path)
    else if (again !== undefined) await rm(again)
    // Not zero, which is everywhere in a fresh file.
    const tag = (randomSeed() | 1) >>> 0
    const file = await open(path, existsSync(path) ? 'r+' : 'w+')
    try {
      // What lies in a used file is as good as zeros: its frames have another tag.
      for (let at = (await file.stat()).size; at < size;) {
        at += (await file.write(ZEROS, 0, Math.min(ZEROS.length, size - at), at)).bytesWritten
      }
      await file.write(encodeHeader({ number, tag, store: this.store }), 0, HEADER_BYTES, 0)
      await file.sync()
    } finally {
      await file.close()
    }
    await this.syncDir()
    return new Segment(path, number, tag)
  }

  /** Nothing in this segment counts any more, durably. Its number is never used again. */
  async retire(segment: Segment): Promise<void> {
    segment.close()
    // Removing a file of this size takes milliseconds, which are not the event loop's.
    if (this.idle.length >= MAX_IDLE_FILES || segment.capacity > SEGMENT_BYTES) return rm(segment.path)
    const idle = join(this.dir, `${++this.idleNumber}.idle`)
    await rename(segment.path, idle)
    this.idle.push(idle)
  }

  /** A file that nobody counts on: left by a process that died before it was of use. */
  remove(number: number): void {
    rmSync(this.pathOf(number))
  }

  private async syncDir(): Promise<void> {
    // Windows cannot open directories; its file system keeps names by itself.
    if (process.platform === 'win32') return
    const dir = await open(this.dir, 'r')
    try {
      await dir.sync()
    } finally {
      await dir.close()
    }
  }
}
