// How many bytes the data directory's disk still has, asked in the background: a disk that hangs must not stop the event loop. Without a
// directory (a store in memory) nobody is asked, and there is room.
import { statfs } from 'node:fs/promises'
import { clearTimeout, setTimeout, type Timer } from '@coppice/runtime'

const EVERY_MS = 1_000

export class FreeDisk {
  /** The newest answer. */
  bytes = Number.MAX_SAFE_INTEGER
  private readonly dir: string | undefined
  private timer: Timer | undefined

  constructor(dir: string | undefined) {
    this.dir = dir
  }

  async start(): Promise<void> {
    if (this.dir === undefined) return
    await this.ask()
    this.schedule()
  }

  stop(): void {
    clearTimeout(this.timer)
    this.timer = undefined
  }

  private schedule(): void {
    this.timer = setTimeout(() => {
      // One question at a time: the next one is asked when this one is answered.
      void this.ask().then(() => {
        if (this.timer !== undefined) this.schedule()
      })
    }, EVERY_MS)
    this.timer.unref()
  }

  private async ask(): Promise<void> {
    try {
      const { bavail, bsize } = await statfs(this.dir!)
      this.bytes = bavail * bsize
    } catch {
      // The store itself will say what is wrong with the disk; here the last answer stands.
    }
  }
}
