// One digest for a tree of files: of every relative path and the digest of its content, in the order of the paths' bytes. Two trees with
// equal digests have the same regular files with the same content.
import { createHash } from 'node:crypto'

export class TreeDigest {
  readonly #entries: { readonly path: Buffer; readonly digest: Buffer }[] = []

  add(path: Uint8Array, content: Uint8Array): void {
    this.#entries.push({ path: Buffer.from(path), digest: createHash('sha256').update(content).digest() })
  }

  hex(): string {
    const whole = createHash('sha256')
    const length = Buffer.alloc(4)
    for (const { path, digest } of this.#entries.sort((x, y) => Buffer.compare(x.path, y.path))) {
      length.writeUInt32LE(path.length)
      whole.update(length).update(path).update(digest)
    }
    return whole.digest('hex')
  }
}
