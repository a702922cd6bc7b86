// coppice kv export: every key below a prefix as a file. A key is somebody else's text: it must not name anything outside the directory.
import { constants } from 'node:fs'
import { mkdir, open, realpath } from 'node:fs/promises'
import { dirname, sep } from 'node:path'
import type { Db } from '@coppice/vkv'
import { CliError, EXIT } from '../base/exit.js'
import { Progress, bytesText } from '../base/output.js'
import { Pool } from './pool.js'
import { Transfer } from './transfer.js'
import { TreeDigest } from './tree-digest.js'
import { under } from './walk.js'

export interface ExportOptions {
  readonly dir: string
  readonly prefix: string
  readonly concurrency: number
  readonly json: boolean
}

const MAX_BYTES_AT_ONCE = 32 * 1024 * 1024

/** Resolves with the exit code. */
export async function exportTree(db: Db, { dir, prefix, concurrency, json }: ExportOptions): Promise<number> {
  await mkdir(dir, { recursive: true }).catch((error: Error) => {
    throw new CliError(EXIT.error, `${dir} cannot be made: ${error.message}`)
  })
  const folders = new Folders(dir, await realpath(dir))
  const transfer = new Transfer()
  const digest = new TreeDigest()
  const progress = new Progress('export')
  const pool = new Pool(concurrency, MAX_BYTES_AT_ONCE)
  const prefixBytes = Buffer.from(prefix)
  try {
    for await (const { key, value } of db.kv.bytes.range({ prefix: prefixBytes })) {
      const path = Buffer.from(key).subarray(prefixBytes.length)
      const content = Buffer.from(value)
      await pool.run(content.length, async () => {
        const problem = pathProblem(path) ?? (await folders.write(path, content))
        if (problem !== undefined) return transfer.leave(path, problem)
        transfer.files++
        transfer.bytes += content.length
        digest.add(path, content)
        progress.update(transfer.files, transfer.files, `${bytesText(transfer.bytes)} ${transfer.perSecond}`)
      })
    }
    await pool.end()
  } finally {
    progress.clear()
  }
  return transfer.report(json, 'exported', digest.hex())
}

/** Why a key cannot be a path below a directory; undefined when it can. */
export function pathProblem(path: Uint8Array): string | undefined {
  const text = Buffer.from(path).toString('latin1')
  if (text === '') return 'an empty path'
  if (text.startsWith('/')) return 'an absolute path'
  if (text.includes('\0')) return 'a zero byte in the path'
  if (sep === '\\' && /[\\:]/.test(text)) return 'a character that this system does not allow'
  for (const part of text.split('/')) {
    if (part === '..') return 'the path leads out of the directory'
    if (part === '') return 'the path has an empty part'
    if (part === '.') return 'the path has a part "."'
  }
  return undefined
}

/** Makes folders and files below one directory and nowhere else, also when links lie in the way. */
class Folders {
  readonly #dir: string
  readonly #real: string
  readonly #checked = new Map<string, Promise<string | undefined>>()

  constructor(dir: string, real: string) {
    this.#dir = dir
    this.#real = real
  }

  /** What went wrong; undefined when the file is written. */
  async write(path: Buffer, content: Buffer): Promise<string | undefined> {
    const parent = dirname(path.toString('latin1'))
    const problem = await this.#folder(parent)
    if (problem !== undefined) return problem
    try {
      // A link in the place of the file would be followed out of the directory.
      const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW
      const file = await open(under(this.#dir, path), flags, 0o644)
      try {
        await file.writeFile(content)
      } finally {
        await file.close()
      }
      return undefined
    } catch (error) {
      return `cannot be written: ${(error as Error).message}`
    }
  }

  // `folder` in latin1, one char a byte.
  #folder(folder: string): Promise<string | undefined> {
    if (folder === '.') return Promise.resolve(undefined)
    let checked = this.#checked.get(folder)
    if (checked === undefined) this.#checked.set(folder, (checked = this.#make(folder)))
    return checked
  }

  async #make(folder: string): Promise<string | undefined> {
    const problem = await this.#folder(dirname(folder))
    if (problem !== undefined) return problem
    const path = under(this.#dir, Buffer.from(folder, 'latin1'))
    try {
      await mkdir(path).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error
      })
      const real = await realpath(path, 'buffer')
      const inside = under(this.#real, Buffer.from(folder, 'latin1'))
      return real.equals(inside) ? undefined : 'a link lies in the way'
    } catch (error) {
      return `its folder cannot be made: ${(error as Error).message}`
    }
  }
}
