// Opens an lmdb environment with the settings the protocol needs and commits to it durably, in order, in groups (PROTOCOL 7).
//
// Settings, and why:
// - overlappingSync off: lmdb-js otherwise resolves a write when it is visible and syncs later; after one failed fdatasync its
//   `flushed` never settles while the next put succeeds. Without it a write's promise means "on the disk" and a failed sync rejects it.
// - no writemap: with it a full disk is SIGBUS instead of an error.
// - no cache, no compression, binary values: records are checksummed bytes already; what is read is read once.
// - one transaction at a time, and none after a failure: an acknowledgement may never rest on a later transaction's luck.
import { open, type Database, type RootDatabase } from 'lmdb'
import { plain } from './node-bytes.js'
import { StartupError } from './startup-error.js'
import { setImmediate } from './timers.js'

/** A key of a table; lists are ordered by their elements. Not lmdb's own type: whoever compiles against this package needs none of its types. */
export type LmdbKey = string | number | LmdbKey[]

/** Of an environment. */
export interface LmdbOptions {
  /** Names of the tables this environment holds. */
  readonly tables: readonly string[]
  /** Called once, when a commit failed: what was not acknowledged may or may not be there, so the process must stop. */
  onFailure(reason: string): void
}

/** A table of byte strings in key order. Reads see all commits that are durable, and nothing of those under way. */
export interface LmdbTable {
  /** A copy of the value. */
  get(key: LmdbKey): Uint8Array | undefined
  /** Only inside the `writes` of a commit; `value` may be reused when that commit is durable. */
  put(key: LmdbKey, value: Uint8Array): void
  remove(key: LmdbKey): void
  /** Entries in key order with start ≤ key < end; the values are copies. */
  range(options?: {
    start?: LmdbKey
    end?: LmdbKey
    reverse?: boolean
    limit?: number
  }): Iterable<{ key: LmdbKey; value: Uint8Array }>
  keys(options?: { start?: LmdbKey; end?: LmdbKey; reverse?: boolean; limit?: number }): Iterable<LmdbKey>
}

/** An environment that commits durably, in order, in groups. */
export interface Lmdb {
  table(name: string): LmdbTable
  /**
   * Runs `writes` (puts and removes) in the next transaction and calls `durable` when it is on the disk. All commits that wait for a
   * running one share the next transaction; `durable` is called in the order of the commits (R2).
   */
  commit(writes: () => void, durable: () => void): void
  /** Resolves when everything committed is durable and the environment is closed. */
  close(): Promise<void>
}

interface Commit {
  readonly writes: () => void
  readonly durable: () => void
}

/** Opens or makes the environment at `path`. Throws a StartupError (STORE_UNUSABLE) that says why it cannot. */
export function openLmdb(path: string, options: LmdbOptions): Lmdb {
  return new LmdbEnvironment(path, options)
}

class LmdbEnvironment implements Lmdb {
  private readonly root: RootDatabase<Uint8Array, LmdbKey>
  private readonly tables = new Map<string, Table>()
  private readonly onFailure: (reason: string) => void
  private waiting: Commit[] = []
  private running = false
  private failed = false
  private readonly onIdle: (() => void)[] = []

  constructor(path: string, options: LmdbOptions) {
    this.onFailure = options.onFailure
    try {
      this.root = open<Uint8Array, LmdbKey>({
        path,
        encoding: 'binary',
        overlappingSync: false,
        useWritemap: false,
        cache: false,
        maxDbs: options.tables.length + 1,
        // Writes reach lmdb in one piece from `next`; there is nothing to wait for.
        eventTurnBatching: false,
      } as Parameters<typeof open>[0])
      for (const name of options.tables)
        this.tables.set(name, new Table(this.root.openDB({ name, encoding: 'binary' })))
    } catch (error) {
      throw new StartupError('STORE_UNUSABLE', `store ${path} cannot be opened: ${(error as Error).message}`, error)
    }
  }

  table(name: string): LmdbTable {
    const table = this.tables.get(name)
    if (table === undefined) throw new Error(`table ${name} was not named when the store was opened`)
    return table
  }

  commit(writes: () => void, durable: () => void): void {
    // After a failure nothing more may be acknowledged.
    if (this.failed) return
    this.waiting.push({ writes, durable })
    if (!this.running) this.next()
  }

  private next(): void {
    const group = this.waiting
    this.waiting = []
    this.running = true
    const run = (): void => {
      for (const { writes } of group) writes()
    }
    // What is put outside the batch callback could fall into another transaction.
    this.root.batch(run).then(
      () => this.onDurable(group),
      (error: unknown) => this.onFailed(error),
    )
  }

  private onDurable(group: Commit[]): void {
    this.running = false
    // Begun before the completions run, so that the disk works while they are processed.
    if (this.waiting.length > 0) this.next()
    for (const { durable } of group) durable()
    this.maybeIdle()
  }

  private onFailed(error: unknown): void {
    this.running = false
    this.failed = true
    this.waiting = []
    let { message } = error as Error
    // lmdb-js gives the cause as a promise that rejects a little later.
    const { commitError } = error as { commitError?: Promise<never> }
    commitError?.catch((cause: Error) => (message = cause.message))
    setImmediate(() => this.onFailure(`writing to the store failed: ${message}`))
    this.maybeIdle()
  }

  private maybeIdle(): void {
    if (!this.running) for (const wake of this.onIdle.splice(0)) wake()
  }

  async close(): Promise<void> {
    if (this.running) await new Promise<void>((resolve) => this.onIdle.push(resolve))
    await this.root.close()
  }
}

interface RangeOptions {
  start?: LmdbKey
  end?: LmdbKey
  reverse?: boolean
  limit?: number
}

class Table implements LmdbTable {
  private readonly db: Database<Uint8Array, LmdbKey>
  constructor(db: Database<Uint8Array, LmdbKey>) {
    this.db = db
  }
  get(key: LmdbKey): Uint8Array | undefined {
    const value = this.db.getBinary(key)
    return value === undefined ? undefined : plain(value)
  }
  put(key: LmdbKey, value: Uint8Array): void {
    void this.db.put(key, value)
  }
  remove(key: LmdbKey): void {
    void this.db.remove(key)
  }
  *range(options: RangeOptions = {}): Iterable<{ key: LmdbKey; value: Uint8Array }> {
    for (const { key, value } of this.db.getRange(options)) yield { key, value: plain(value) }
  }
  *keys(options: RangeOptions = {}): Iterable<LmdbKey> {
    yield* this.db.getKeys(options)
  }
}
