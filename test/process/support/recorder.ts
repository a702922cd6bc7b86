// Records what clients of a real cluster invoke and hear, in real-time order, in the format of `coppice check-history`.
import { CoppiceError, type Db } from '@coppice/vkv'
import type { HistoryEvent, HistoryFunction } from '@coppice/sim'
import type { PinnedReader } from './pinned-reader.js'

export class Recorder {
  readonly events: HistoryEvent[] = []
  private nextProcess = 0

  get text(): string {
    return this.events.map((event) => `${JSON.stringify(event)}\n`).join('')
  }

  /** The name of a process that has not been used. */
  newProcess(): number {
    return this.nextProcess++
  }

  /** Writes, deletes, comparisons and reads through a clerk, until `stopped`. */
  async client(db: Db, keys: readonly string[], stopped: () => boolean, pace?: () => Promise<void>): Promise<void> {
    let process = this.nextProcess++
    // What this client saw last: comparisons with it have a chance.
    const seenByKey = new Map<string, string | null>()
    for (let n = 0; !stopped(); n++) {
      await pace?.()
      const key = keys[(n * 7 + process) % keys.length]!
      const fresh = `${process}.${n}`
      const step = (n + process) % 10
      const seen = seenByKey.get(key)
      let known: boolean
      if (step < 5 || (step < 7 && typeof seen !== 'string')) {
        known = await this.record(process, 'read', key, undefined, async () => {
          const value = (await db.kv.get(key)) ?? null
          seenByKey.set(key, value)
          return { type: 'ok', value }
        })
      } else if (step < 7) {
        known = await this.record(process, 'cas', key, [seen, fresh], async () => {
          const { ok } = await db.kv.condPut(key, seen as string, fresh)
          return { type: ok ? 'ok' : 'fail' }
        })
      } else if (step === 7 && n % 3 === 0) {
        known = await this.record(process, 'write', key, null, async () => {
          await db.kv.delete(key)
          return { type: 'ok' }
        })
      } else {
        known = await this.record(process, 'write', key, fresh, async () => {
          await db.kv.put(key, fresh)
          return { type: 'ok' }
        })
      }
      // A process with an operation of unknown fate does nothing more under its name.
      if (!known) process = this.nextProcess++
    }
  }

  /** Reads of one replica. */
  async pinned(
    reader: PinnedReader,
    keys: readonly string[],
    stopped: () => boolean,
    pace: () => Promise<void>,
  ): Promise<void> {
    const process = this.nextProcess++
    for (let n = 0; !stopped(); n++) {
      await this.record(process, 'read', keys[n % keys.length]!, undefined, async () => {
        const answer = await reader.get(keys[n % keys.length]!)
        return answer.kind === 'none' ? { type: 'fail' } : { type: 'ok', value: answer.value ?? null }
      })
      await pace()
    }
  }

  private async record(
    process: number,
    f: HistoryFunction,
    key: string,
    value: unknown,
    run: () => Promise<{ type: 'ok' | 'fail'; value?: unknown }>,
  ): Promise<boolean> {
    const argument = value === undefined ? {} : { value }
    this.events.push({ process, type: 'invoke', f, key, ...argument })
    try {
      this.events.push({ process, f, key, ...argument, ...(await run()) })
      return true
    } catch (error) {
      if (!(error instanceof CoppiceError)) throw error
      // A comparison's `fail` would say that it was made and failed, so one that was not made stays open: allowed, if weaker.
      const isKnown = error.outcome === 'not-applied' && f !== 'cas'
      this.events.push({ process, type: isKnown ? 'fail' : 'info', f, key, ...argument })
      return isKnown
    }
  }
}
