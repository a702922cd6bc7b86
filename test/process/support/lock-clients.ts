// Processes that share a lock, and the judge of all that the lock and the guarded key told in the order of the log: fences only grow, who
// waits longest is next, and no write of a holder whose time is over was done.
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type Change, Writer } from '@coppice/protocol'
import { LockJournal } from '@coppice/sim'
import type { Db } from '@coppice/vkv'
import { STREAM_KEYS } from '@coppice/vkv/core'
import { STREAM_LOCKS, writeLockTopic } from '@coppice/vkv/internal'
import { until, within } from './wait.js'

const CLIENT = fileURLToPath(new URL('./lock-client.mjs', import.meta.url))
const text = new TextEncoder()
const clients = new Set<ChildProcess>()

/** However a test ends. */
export function killLockClients(): void {
  for (const client of clients) client.kill('SIGKILL')
}

/** A process that uses the lock; `said` are the words of all its lines. */
export class LockClient {
  /** The first word of each line, and all of the last one. */
  readonly said: string[] = []
  last = ''
  private readonly child: ChildProcess
  readonly ended: Promise<void>

  /** It writes its token to the key. */
  constructor(addresses: readonly string[], lock: string, key: string, ttlMs: number) {
    const args = [CLIENT, addresses.join(','), lock, key, String(ttlMs)]
    this.child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      this.said.push(line.split(' ')[0]!)
      this.last = line
    })
    clients.add(this.child)
    this.ended = new Promise((resolve) =>
      this.child.once('close', () => {
        clients.delete(this.child)
        resolve()
      }),
    )
  }

  times(word: string): number {
    return this.said.filter((said) => said === word).length
  }
  /** Resolves when it says that it holds the lock once more. */
  async holds(): Promise<void> {
    const before = this.times('held')
    await until(`holding by a client that last said "${this.last}"`, () => this.times('held') > before)
  }
  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }
  end(): Promise<void> {
    this.child.stdin!.end()
    return within('end of a lock client', this.ended)
  }
}

/** Everything that a topic tells from now on. */
async function record(db: Db, stream: number, topic: Uint8Array, exact: boolean): Promise<Change[]> {
  const told: Change[] = []
  await new Promise<void>((resolve, reject) => {
    const watch = db.clerk.watch(
      { stream, topic, exact },
      {
        changes: (batch) => {
          let bytes = 0
          for (const change of batch) {
            bytes += change.size
            told.push({ ...change, topic: change.topic.slice(), payload: change.payload.slice() })
          }
          watch.consumed(bytes)
        },
        synced: () => resolve(),
        end: reject,
      },
    )
  })
  return told
}

/** What a lock and the key written under it tell, from `begin` to `finish`. */
export class LockRecord {
  readonly #lock: string
  readonly #key: string
  readonly #locks: Change[]
  readonly writes: readonly Change[]

  private constructor(lock: string, key: string, locks: Change[], writes: Change[]) {
    this.#lock = lock
    this.#key = key
    this.#locks = locks
    this.writes = writes
  }

  static async begin(db: Db, lock: string, key: string): Promise<LockRecord> {
    const topic = new Writer()
    writeLockTopic(topic, text.encode(lock), new Uint8Array(0))
    const locks = await record(db, STREAM_LOCKS, topic.take(), false)
    return new LockRecord(lock, key, locks, await record(db, STREAM_KEYS, text.encode(key), true))
  }

  /** The clients have ended: takes the lock once more and judges everything. */
  async finish(db: Db): Promise<LockJournal> {
    const { writes } = this
    const locks = this.#locks
    const last = await db.lock(this.#lock, { timeout: '60s' })
    await last.kv.put(this.#key, String(last.token))
    await last.release()
    await until(
      'the last changes',
      () => writes.at(-1)?.payload.toString() === text.encode(String(last.token)).toString(),
    )
    await until('the last release', () => locks.at(-1)!.index > writes.at(-1)!.index)
    const journal = new LockJournal(this.#lock)
    for (const change of [...locks, ...writes].sort((a, b) => a.index - b.index)) {
      if (change.stream === STREAM_KEYS) journal.written(change.index, Number(Buffer.from(change.payload).toString()))
      else journal.add(change.index, change.kind, Buffer.from(change.topic).toString('hex'), change.payload)
    }
    return journal
  }
}
