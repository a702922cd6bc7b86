// All files below a directory, with names as bytes, because a file name need not be text. Links are not followed.
import { opendir } from 'node:fs/promises'
import type { Dirent } from 'node:fs'

/** A path below the root, with / between its parts. */
export interface Found {
  readonly path: Buffer
  readonly kind: 'file' | 'link' | 'other'
}

const SLASH = Buffer.from('/')

/** Path of a file below `root` for the file system. */
export function under(root: string, path: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(root), SLASH, path])
}

/** Depth first, each directory in the order of the file system. */
export async function* walk(root: string, below: Buffer = Buffer.alloc(0)): AsyncGenerator<Found> {
  const path = below.length === 0 ? Buffer.from(root) : under(root, below)
  // The types of Node know names as bytes for readdir only.
  const options = { encoding: 'buffer' as BufferEncoding }
  for await (const entry of await opendir(path as unknown as string, options)) {
    const name = (entry as unknown as Dirent<Buffer>).name
    const child = below.length === 0 ? Buffer.from(name) : Buffer.concat([below, SLASH, name])
    if (entry.isDirectory()) yield* walk(root, child)
    else yield { path: child, kind: entry.isFile() ? 'file' : entry.isSymbolicLink() ? 'link' : 'other' }
  }
}
