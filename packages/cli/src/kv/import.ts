// coppice kv import: every regular file of a directory, under its relative path.
import { constants } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { MAX_KEY_BYTES, MAX_VALUE_BYTES } from '@coppice/protocol'
import type { Db } from '@coppice/vkv'
import { CliError, EXIT } from '../base/exit.js'
import { Progress, bytesText } from '../base/output.js'
import { Pool } from './pool.js'
import { Transfer } from './transfer.js'
import { TreeDigest } from './tree-digest.js'
import { under, walk } from './walk.js'

export interface ImportOptions {
  readonly dir: string
  readonly prefix: string
  readonly concurrency: number
  readonly resume: boolean
  readonly json: boolean
}

const MAX_BYTES_AT_ONCE = 32 * 1024 * 1024

/** Resolves with the exit code. */
export async function importTree(db: Db, options: ImportOptions): Promise<number> {
  const { dir, concurrency, json } = options
  const found = await stat(dir).catch(() => undefined)
  if (found?.isDirectory() !== true) throw new CliError(EXIT.notFound, `${dir} is not a directory`)
  const transfer = new Transfer()
  const digest = new TreeDigest()
  const paths: Buffer[] = []
  for await (const { path, kind } of walk(dir)) {
    if (kind === 'file') paths.push(path)
    else transfer.leave(path, kind === 'link' ? 'symbolic link' : 'not a regular file', true)
  }
  const progress = new Progress('import')
  const pool = new Pool(concurrency, MAX_BYTES_AT_ONCE)
  try {
    for (const path of paths) {
      const { size } = await stat(under(dir, path)).catch(() => ({ size: 0 }))
      await pool.run(size, async () => {
        await importFile(db, options, path, transfer, digest)
        progress.update(
          transfer.files + transfer.leftOut.length,
          paths.length,
          `${bytesText(transfer.bytes)} ${transfer.perSecond}`,
        )
      })
    }
    await pool.end()
  } finally {
    progress.clear()
  }
  return transfer.report(json, 'imported', digest.hex())
}

async function importFile(
  db: Db,
  { dir, prefix, resume }: ImportOptions,
  path: Buffer,
  transfer: Transfer,
  digest: TreeDigest,
): Promise<void> {
  const kv = db.kv.bytes
  const key = Buffer.concat([Buffer.from(prefix), path])
  if (key.length > MAX_KEY_BYTES)
    return transfer.leave(path, `its path is a key of ${key.length} bytes, above the limit of ${MAX_KEY_BYTES}`)
  const content = await readRegular(under(dir, path))
  if (typeof content === 'string') return transfer.leave(path, content)
  if (resume) {
    const stored = await kv.get(key)
    if (stored !== undefined && content.equals(stored)) {
      transfer.unchanged++
      transfer.files++
      digest.add(path, content)
      return
    }
  }
  await kv.put(key, content)
  transfer.files++
  transfer.bytes += content.length
  digest.add(path, content)
}

// The content, or why it is left out. The size is looked at before anything is read.
async function readRegular(path: Buffer): Promise<Buffer | string> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
    try {
      const { size } = await file.stat()
      if (size > MAX_VALUE_BYTES) return `${bytesText(size)}, above the limit of ${bytesText(MAX_VALUE_BYTES)}`
      const content = await file.readFile()
      return content.length > MAX_VALUE_BYTES ? 'it grew above the limit while it was read' : content
    } finally {
      await file.close()
    }
  } catch (error) {
    return `cannot be read: ${(error as Error).message}`
  }
}
