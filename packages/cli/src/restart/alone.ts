// One rolling restart of a group at a time: two that each see a whole cluster would end two of its members at once. It holds a lock of the
// store for as long as it works; a process that is killed meanwhile leaves it to its ttl.
import { CoppiceError } from '@coppice/protocol'
import type { Db } from '@coppice/vkv'
import { CliError, EXIT } from '../base/exit.js'

const LOCK = 'coppice/restart'
/** Longer than a failover, so that a member that dies meanwhile does not end the holding, ms. */
const TTL_MS = 30_000

/** Runs `work` unless another restart is under way (exit code 4); its signal says that the lock was lost: nothing more may be begun. */
export async function alone<T>(db: Db, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const lock = await db.lock(LOCK, { ttl: TTL_MS, wait: 0 }).catch((error: unknown) => {
    if (!(error instanceof CoppiceError) || error.code !== 'LOCK_BUSY') throw error
    throw new CliError(
      EXIT.conditionNotMet,
      `nothing was restarted: another "coppice restart" of this group is under way, or was ended less than ${TTL_MS / 1_000} s ago`,
    )
  })
  try {
    return await work(lock.signal)
  } finally {
    // What cannot be released now is free after its ttl.
    await lock.release().catch(() => undefined)
  }
}
