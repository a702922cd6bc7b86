// Disks in memory: they hold what the stores of production hold after the same writes, keep what became durable through a crash, and lose the rest.
import { ZERO_BALLOT } from '@coppice/configsvc'
import { formatMeta, StoreContent, type DiskWrite } from '@coppice/replica'
import { openReplicaStore, type ReplicaStorage } from '@coppice/replica/server'
import { nextTurn } from '@coppice/runtime'
import { expect, test } from 'vitest'
import { MemoryRegister } from '../../../packages/embedded/src/shell/memory-register.js'
import { MemoryStore } from '../../../packages/embedded/src/shell/memory-store.js'
import { chunkOf, freshDir, headerOf, onCleanup, recordOf } from '../replica-shell/support.js'

const meta = formatMeta({ id: 'r1', group: 'main', storeId: 's1' })
const bytes = (n: number): Uint8Array => new Uint8Array(40).fill(n)
const chunks = [bytes(1), bytes(2)]

const origin = { snapshotId: 'theirs', index: 12, lineage: [[0, 0]] as const, chunks: 3, totalBytes: 120 }

/** Effects as a core gives them, each durable before the next. */
const EFFECTS: readonly (readonly DiskWrite[])[] = [
  [recordOf(1, 2)],
  [recordOf(3), recordOf(4, 3)],
  [{ kind: 'meta', meta: { ...meta, sealedFor: 2 } }],
  [recordOf(7)],
  [{ kind: 'cutSuffix', from: 7 }],
  [chunkOf('a', 0, chunks[0]!)],
  [chunkOf('b', 0, bytes(9))],
  [chunkOf('a', 1, chunks[1]!)],
  [{ kind: 'snapshotCommit', header: headerOf('a', 4, chunks) }],
  [recordOf(7, 2, 100), { kind: 'meta', meta: { ...meta, sealedFor: 3, epoch: 3 } }],
  [{ kind: 'snapshotDrop', snapshotId: 'b' }],
  [{ kind: 'cutPrefix', below: 3 }],
  [recordOf(9)],
  [{ kind: 'snapshotBegin', snapshotId: 'c', origin }],
  [chunkOf('c', 1, bytes(5))],
  [{ kind: 'snapshotBegin', snapshotId: 'd', origin, resumes: 'c' }],
  [chunkOf('d', 0, bytes(6))],
]

async function contentOf(store: ReplicaStorage) {
  const snapshot: number[][] = []
  const records: number[][] = []
  await store.recover(
    {
      snapshotChunk: (header, chunk, piece) => void snapshot.push([header.index, chunk, ...piece]),
      record: (record) => void records.push([...record]),
    },
    undefined,
    () => undefined,
  )
  const slices = []
  // Below 3 the disk may still hold what a cut of the prefix lets go.
  for (let from = 3; from < 10; from++)
    for (const to of [from + 1, 7, 10]) {
      const { next, records: found } = await store.readLog(from, to, 150)
      slices.push([from, to, next, found.length])
    }
  const pieces = []
  for (const [id, chunk] of [
    ['', 0],
    ['a', 1],
    ['a', 2],
    ['b', 0],
  ] as const)
    pieces.push(await store.readSnapshot(id, chunk))
  // The chunks that are here are a set.
  const unfinished = store.unfinished && { ...store.unfinished, have: [...store.unfinished.have].sort() }
  return { meta: { ...store.meta, storeId: '' }, unfinished, snapshot, records, slices, pieces }
}

async function written(store: ReplicaStorage, effects: readonly (readonly DiskWrite[])[]): Promise<void> {
  for (const [token, writes] of effects.entries()) {
    store.write(token, writes)
    await store.drained()
  }
}

test('memoryStore_afterTheSameWrites_holdsWhatTheDiskStoreHolds', async () => {
  for (let count = 0; count <= EFFECTS.length; count++) {
    const disk = await openReplicaStore(freshDir(), { id: 'r1', group: 'main' })
    onCleanup(() => disk.close())
    const memory = new MemoryStore(new StoreContent(meta))
    await written(disk, EFFECTS.slice(0, count))
    await written(memory, EFFECTS.slice(0, count))
    expect(await contentOf(memory), `after ${count} effects`).toEqual(await contentOf(disk))
  }
})

test('crash_losesWhatWasNotDurable_keepsWhatWas', async () => {
  const content = new StoreContent(meta)
  const before = new MemoryStore(content)
  const told: number[] = []
  before.onWritten = (token) => told.push(token)
  before.write(1, [recordOf(1)])
  before.write(2, [recordOf(2)])
  expect(told).toEqual([])
  await before.drained()
  expect(told).toEqual([1, 2])
  before.write(3, [recordOf(3)])
  before.write(4, [{ kind: 'meta', meta: { ...meta, claim: 1 } }])
  await before.abandon()
  await nextTurn()
  before.write(5, [recordOf(4)])
  await nextTurn()
  expect(told).toEqual([1, 2])
  const after = new MemoryStore(content)
  expect(content.end).toBe(3)
  expect(after.meta.claim).toBe(meta.claim)
  expect((await contentOf(after)).records).toHaveLength(2)
})

test('crash_whileACompletionIsTold_losesTheRest', async () => {
  const content = new StoreContent(meta)
  const store = new MemoryStore(content)
  const told: number[] = []
  store.onWritten = (token) => {
    told.push(token)
    void store.abandon()
  }
  store.write(1, [recordOf(1)])
  store.write(2, [recordOf(2)])
  await nextTurn()
  await nextTurn()
  expect(told).toEqual([1])
  expect(content.end).toBe(2)
})

test('close_makesDurableWhatWaits', async () => {
  const content = new StoreContent(meta)
  const store = new MemoryStore(content)
  store.write(1, [recordOf(1)])
  await store.close()
  expect(content.end).toBe(2)
})

test('record_changedAfterItIsWritten_isKeptAsItWas', async () => {
  const store = new MemoryStore(new StoreContent(meta))
  const record = recordOf(1)
  store.write(1, [record])
  await store.drained()
  const stored = (await store.readLog(1, 2, 1_000)).records
  record.bytes.fill(0)
  expect((await store.readLog(1, 2, 1_000)).records).toEqual(stored)
})

test('writeAgainstTheContract_failsTheStore', async () => {
  const store = new MemoryStore(new StoreContent(meta))
  const failures: string[] = []
  const told: number[] = []
  store.onFailed = (reason) => failures.push(reason)
  store.onWritten = (token) => told.push(token)
  store.write(1, [recordOf(5)])
  store.write(2, [recordOf(1)])
  await nextTurn()
  await nextTurn()
  expect(failures).toEqual(['the memory of r1: not so: record at 5 continues the log, which ends at 1'])
  expect(told).toEqual([])
})

test('unfinishedSnapshot_afterACrash_isForgotten', async () => {
  const content = new StoreContent(meta)
  await written(new MemoryStore(content), [[chunkOf('a', 0, bytes(1))]])
  await contentOf(new MemoryStore(content))
  expect(content.chunksBySnapshot.size).toBe(0)
})

test('register_keepsWhatIsDurable_losesTheRest', async () => {
  const content = { register: { storeId: 's', promised: ZERO_BALLOT, accepted: [] } }
  const store = new MemoryRegister(content)
  const told: string[] = []
  const promise = (round: number) => ({ kind: 'promised' as const, ballot: { round, node: 'c1' } })
  store.write([promise(1)], () => told.push('first'))
  expect(told).toEqual([])
  await nextTurn()
  await nextTurn()
  store.write([promise(2)], () => told.push('second'))
  await store.abandon()
  await nextTurn()
  expect(told).toEqual(['first'])
  expect(new MemoryRegister(content).recovered.promised.round).toBe(1)
})
