// Looking at locks: who holds what (PRODUCT, `coppice lock`; audits and tests that ask whether everything is free).
import { EMPTY_BYTES, type Index } from '@coppice/protocol'
import type { ClerkLike } from '@coppice/clerk/core'
import { decodeLock } from '../core/lock-record.js'
import { encodeRange, TABLE_LOCKS } from '../core/queries.js'
import { decodeRangeReply } from '../core/replies.js'
import { Budget, type Options } from './budget.js'
import { checkOptions, KNOWN } from './known-options.js'
import type { KvPorts } from './ports.js'

/** A lock as the store sees it. */
export interface LockInfo {
  readonly name: string
  /** Token of the holding; 0: free, with waiters that have not come yet. */
  readonly token: Index
  /** End of the holding by the log's elapsed time, ms; it may have passed, then the next who asks gets the lock. */
  readonly expiry: number
  readonly waiters: number
}

const PAGE = 1_000

/** Locks that are held or waited for, in the order of their names. */
export async function* listLocks(
  clerk: ClerkLike,
  ports: KvPorts,
  options: Options & { readonly prefix?: string | undefined } = {},
): AsyncGenerator<LockInfo, void, undefined> {
  checkOptions(options, KNOWN.locks, 'locks')
  const prefix = options.prefix === undefined ? EMPTY_BYTES : ports.text.encode(options.prefix)
  let after = EMPTY_BYTES
  for (;;) {
    const query = encodeRange({ table: TABLE_LOCKS, prefix, after, limit: PAGE })
    const page = decodeRangeReply(await clerk.read(query, new Budget(clerk, ports, options).next('locks')))
    for (const entry of page.entries) {
      const lock = decodeLock(entry.value)
      yield {
        name: ports.text.decode(entry.key),
        token: lock.fence,
        expiry: lock.expiry,
        waiters: lock.waiters,
      }
    }
    const last = page.entries[page.entries.length - 1]
    if (!page.more || last === undefined) return
    after = last.key.slice()
  }
}
