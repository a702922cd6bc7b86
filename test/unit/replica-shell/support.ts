// Stores in temporary directories, and records for them.
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { Index } from '@coppice/protocol'
import type { DiskWrite, SnapshotHeader } from '@coppice/replica'
import { openReplicaStore, type DiskStore, type RecoveryProgress } from '@coppice/replica/server'
import { afterEach } from 'vitest'

export { recordOf } from './records.js'

const cleanups: (() => Promise<void> | void)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

export function onCleanup(run: () => Promise<void> | void): void {
  cleanups.push(run)
}

export function freshDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'coppice-store-'))
  onCleanup(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** A copy of the directory: what a crash right now would leave. */
export function crashed(dir: string): string {
  const copy = freshDir()
  const left = readdirSync(dir).filter((name) => !name.includes('lock'))
  for (const name of left) cpSync(join(dir, name), join(copy, name), { recursive: true })
  return copy
}

export const soon = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

export function chunkOf(snapshotId: string, chunk: number, bytes: Uint8Array): DiskWrite {
  return { kind: 'snapshotChunk', snapshotId, chunk, bytes }
}

export function headerOf(snapshotId: string, index: Index, chunks: readonly Uint8Array[]): SnapshotHeader {
  const totalBytes = chunks.reduce((sum, c) => sum + c.length, 0)
  return { snapshotId, index, lineage: [[0, 0]], chunks: chunks.length, totalBytes, digest: 'd' }
}

/** A store with promises where the wiring has callbacks. */
export class TestStore {
  readonly store: DiskStore
  readonly written: number[] = []
  readonly failures: string[] = []
  private token = 0
  private readonly waiting = new Map<number, () => void>()

  constructor(store: DiskStore) {
    this.store = store
    store.onWritten = (token) => {
      this.written.push(token)
      this.waiting.get(token)?.()
    }
    store.onFailed = (reason) => this.failures.push(reason)
  }

  /** Queues one effect; the promise settles when it is durable. */
  write(...writes: DiskWrite[]): Promise<void> {
    const token = ++this.token
    const done = new Promise<void>((resolve) => this.waiting.set(token, resolve))
    this.store.write(token, writes)
    return done
  }

  async recovered(): Promise<Recovered> {
    const found: Recovered = { chunks: [], records: [], progress: [] }
    await this.store.recover(
      {
        snapshotChunk: (header, chunk, bytes) => found.chunks.push([header.snapshotId, chunk, bytes.slice()]),
        record: (bytes) => found.records.push(bytes.slice()),
      },
      undefined,
      (progress) => found.progress.push(progress),
    )
    return found
  }

  /** First indexes of all records found by recovery. */
  async indexes(): Promise<number[]> {
    return (await this.recovered()).records.map((r) => new DataView(r.buffer).getUint32(12, true))
  }
}

interface Recovered {
  readonly chunks: [string, number, Uint8Array][]
  readonly records: Uint8Array[]
  readonly progress: RecoveryProgress[]
}

export async function openStore(dir: string, id = 'r1', group = 'main', clusterId?: string): Promise<TestStore> {
  const store = await openReplicaStore(dir, { id, group, clusterId })
  let closed = false
  const close = store.close.bind(store)
  store.close = async () => {
    if (closed) return
    closed = true
    await close()
  }
  onCleanup(() => store.close())
  return new TestStore(store)
}

export async function reopen(t: TestStore, dir: string): Promise<TestStore> {
  await t.store.close()
  return openStore(dir)
}

/** Starts writer.ts on `dir` in a process of its own, which is killed at the end of the test. */
export function startWriter(dir: string): ChildProcessByStdio<null, Readable, null> {
  const here = import.meta.dirname
  const child = spawn(process.execPath, [join(here, 'run-typescript.mjs'), join(here, 'writer.ts'), dir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onCleanup(() => void child.kill('SIGKILL'))
  return child
}
