// What import and export share: what was moved, what was left out and why, and how it is told.
import { EXIT } from '../base/exit.js'
import { bytesText, note, paint, print, printJson } from '../base/output.js'
import { shownName } from './show.js'

export interface LeftOut {
  readonly path: string
  readonly reason: string
  /** Links and special files are never stored; that is no failure. */
  readonly expected: boolean
}

export class Transfer {
  files = 0
  bytes = 0
  /** Files that were there already with the same content (--resume). */
  unchanged = 0
  readonly leftOut: LeftOut[] = []
  readonly #begun = performance.now()

  leave(path: Uint8Array, reason: string, expected = false): void {
    this.leftOut.push({ path: shownName(path), reason, expected })
  }

  get perSecond(): string {
    return `${bytesText((this.bytes * 1_000) / Math.max(performance.now() - this.#begun, 1))}/s`
  }

  /** Tells the result; the answer is the exit code. */
  report(json: boolean, verb: string, digest: string): number {
    const { files, bytes, unchanged, leftOut } = this
    const seconds = (performance.now() - this.#begun) / 1_000
    const skipped = leftOut.filter(({ expected }) => expected)
    const failed = leftOut.filter(({ expected }) => !expected)
    for (const { path, reason } of skipped) note(paint('dim', `skipped  ${path}  (${reason})`, process.stderr))
    for (const { path, reason } of failed) note(`${paint('yellow', 'left out', process.stderr)} ${path}  (${reason})`)
    if (json) {
      const plain = (list: readonly LeftOut[]): object[] => list.map(({ path, reason }) => ({ path, reason }))
      printJson({ files, bytes, unchanged, seconds, digest, skipped: plain(skipped), leftOut: plain(failed) })
    } else {
      const same = unchanged === 0 ? '' : `, ${unchanged} unchanged`
      print(`${verb} ${files} files, ${bytesText(bytes)}${same} in ${seconds.toFixed(1)} s`)
      print(`digest ${digest}`)
      if (leftOut.length > 0) note(`${failed.length} left out, ${skipped.length} links and special files skipped`)
    }
    return failed.length === 0 ? EXIT.ok : EXIT.incomplete
  }
}
