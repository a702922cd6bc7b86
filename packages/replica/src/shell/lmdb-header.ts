// Looks at an lmdb file before lmdb does: lmdb-js 3.5.6 ends the process with a signal, not an error, when the first pages are damaged
// or when the file is shorter than its pages. Layout of a meta page as that version writes it, little-endian.
import { closeSync, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs'
import { damaged } from './store-marks.js'

const FLAGS_AT = 18
const META_FLAG = 0x08
const MAGIC_AT = 24
const MAGIC = 0xbeefc0de
const VERSION_AT = 28
const VERSION = 2
const PAGE_SIZE_AT = 48
const LAST_PAGE_AT = 144
const HEADER_BYTES = 168

/** Throws when the file cannot be an lmdb environment any more; a missing or empty one is fine. */
export function checkLmdbHeader(path: string): void {
  let fd: number
  try {
    fd = openSync(path, 'r+')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  try {
    const { size } = fstatSync(fd)
    if (size > 0) checkPages(fd, path, size)
  } finally {
    closeSync(fd)
  }
}

function checkPages(fd: number, path: string, size: number): void {
  const first = readMeta(fd, path, 0)
  const pageSize = first.readUInt32LE(PAGE_SIZE_AT)
  const isPowerOfTwo = pageSize >= 512 && pageSize <= 65_536 && (pageSize & (pageSize - 1)) === 0
  if (!isPowerOfTwo) throw damaged(path, `its header is damaged (page size ${pageSize})`)
  const second = readMeta(fd, path, pageSize)
  const lastPage = Math.max(...[first, second].map((meta) => Number(meta.readBigUInt64LE(LAST_PAGE_AT))))
  const need = (lastPage + 1) * pageSize
  if (need > Number.MAX_SAFE_INTEGER) throw damaged(path, `its header is damaged (last page ${lastPage})`)
  // Pages at the end may be unused and unwritten. Made of zeros, a page that is used is recognised as damaged; a missing one is SIGBUS.
  if (size < need) ftruncateSync(fd, need)
}

function readMeta(fd: number, path: string, at: number): Buffer {
  const meta = Buffer.alloc(HEADER_BYTES)
  const wrong =
    readSync(fd, meta, 0, HEADER_BYTES, at) < HEADER_BYTES ||
    (meta.readUInt16LE(FLAGS_AT) & META_FLAG) === 0 ||
    meta.readUInt32LE(MAGIC_AT) !== MAGIC ||
    (meta.readUInt32LE(VERSION_AT) & 0xffff) !== VERSION
  if (wrong) throw damaged(path, `its header at byte ${at} is damaged`)
  return meta
}
