import { expect, test } from 'vitest'
import { freshDir, headerOf, openStore, recordOf, reopen, soon } from './support.js'

test('write_many_completeInOrder', async () => {
  const t = await openStore(freshDir())
  let last = Promise.resolve()
  for (let i = 1; i <= 200; i++) last = t.write(recordOf(i))
  await last
  expect(t.written).toEqual(Array.from({ length: 200 }, (_, i) => i + 1))
})

test('write_emptyEffect_completesInItsPlace', async () => {
  const t = await openStore(freshDir())
  void t.write(recordOf(1))
  void t.write()
  await t.write(recordOf(2))
  await t.write()
  expect(t.written).toEqual([1, 2, 3, 4])
})

test('recover_afterReopen_givesEveryRecordBytesAndMeta', async () => {
  const dir = freshDir()
  let t = await openStore(dir)
  const records = [recordOf(1, 3), recordOf(4, 2, 5_000), recordOf(6, 1, 100)]
  await t.write(...records, { kind: 'meta', meta: { ...t.store.meta, epoch: 4, sealedFor: 5, clusterId: 'c' } })
  const { storeId } = t.store.meta
  t = await reopen(t, dir)
  expect((await t.recovered()).records).toEqual(records.map((r) => r.bytes))
  expect(t.store.meta).toMatchObject({ epoch: 4, sealedFor: 5, clusterId: 'c', storeId, id: 'r1', group: 'main' })
})

test('write_33MiBRecord_isReadBack', async () => {
  const dir = freshDir()
  let t = await openStore(dir)
  const big = recordOf(1, 1, 33 * 1024 * 1024)
  await t.write(big)
  await t.write(recordOf(2))
  t = await reopen(t, dir)
  const found = (await t.recovered()).records
  expect(Buffer.compare(found[0]!, big.bytes)).toBe(0)
  const slice = await t.store.readLog(1, 3, 1_000)
  expect(slice.next).toBe(2)
  expect(slice.records.length).toBe(big.bytes.length)
})

test('cutSuffix_thenAppend_replacesWhatWasCut', async () => {
  const dir = freshDir()
  let t = await openStore(dir)
  for (let i = 1; i < 10; i += 2) void t.write(recordOf(i, 2))
  // Before what precedes it is durable: a record right after the cut.
  const replaced = recordOf(5, 4, 77)
  void t.write({ kind: 'cutSuffix', from: 5 })
  await t.write(replaced)
  await t.write(recordOf(9, 1))
  expect(await t.indexes()).toEqual([1, 3, 5, 9])
  t = await reopen(t, dir)
  const found = await t.recovered()
  expect(found.records[2]).toEqual(replaced.bytes)
  expect(found.records.length).toBe(4)
})

test('cutSuffix_twiceLower_keepsOnlyThePrefix', async () => {
  const dir = freshDir()
  let t = await openStore(dir)
  for (let i = 1; i <= 8; i++) void t.write(recordOf(i))
  void t.write({ kind: 'cutSuffix', from: 6 })
  void t.write(recordOf(6, 3, 20))
  void t.write({ kind: 'cutSuffix', from: 3 })
  await t.write(recordOf(3, 5))
  t = await reopen(t, dir)
  expect(await t.indexes()).toEqual([1, 2, 3])
  await t.write({ kind: 'cutSuffix', from: 0 })
  expect(await t.indexes()).toEqual([])
  await t.write(recordOf(1_000))
  await t.write({ kind: 'cutSuffix', from: 5_000 })
  expect((await t.store.readLog(1_000, 1_001, 1)).next).toBe(1_001)
})

test('cutSuffix_insideARecord_stopsTheStore', async () => {
  const t = await openStore(freshDir())
  await t.write(recordOf(1, 4))
  void t.write({ kind: 'cutSuffix', from: 3 })
  void t.write(recordOf(5))
  await expect.poll(() => t.failures).toHaveLength(1)
  expect(t.failures[0]).toContain('the log is cut at 3')
  expect(t.written).toEqual([1])
})

test('record_withAHole_stopsTheStoreAndWritesNothingOfItsEffect', async () => {
  const dir = freshDir()
  let t = await openStore(dir)
  await t.write(recordOf(1))
  void t.write(recordOf(2), recordOf(4))
  await expect.poll(() => t.failures).toHaveLength(1)
  t = await reopen(t, dir)
  expect(await t.indexes()).toEqual([1])
})

test('cutPrefix_insideARecord_keepsThatRecord', async () => {
  const dir = freshDir()
  let t = await openStore(dir)
  for (let i = 1; i <= 30; i += 3) void t.write(recordOf(i, 3))
  await t.write({
    kind: 'snapshotCommit',
    header: { snapshotId: 's', index: 31, lineage: [], chunks: 0, totalBytes: 0, digest: '' },
  })
  await t.write({ kind: 'cutPrefix', below: 12 })
  expect((await t.indexes())[0]).toBe(10)
  t = await reopen(t, dir)
  expect(await t.indexes()).toEqual([10, 13, 16, 19, 22, 25, 28])
})

test('readLog_boundsAndBoundaries', async () => {
  const t = await openStore(freshDir())
  for (let i = 1; i <= 10; i++) void t.write(recordOf(i * 2 - 1, 2, 100))
  // Sees what is durable, and waits for nothing.
  expect((await t.store.readLog(1, 21, 1e6)).next).toBe(1)
  await t.store.drained()
  const all = await t.store.readLog(1, 21, 1e6)
  expect(all.next).toBe(21)
  expect(all.records.length).toBe(10 * recordOf(1, 2, 100).bytes.length)
  expect(await t.store.readLog(2, 21, 1e6)).toMatchObject({ from: 2, next: 2 })
  expect((await t.store.readLog(3, 21, 1)).next).toBe(5)
  expect((await t.store.readLog(3, 8, 1e6)).next).toBe(7)
  expect((await t.store.readLog(21, 30, 1e6)).next).toBe(21)
  expect((await t.store.readLog(5, 5, 1e6)).next).toBe(5)
})

test('readLog_overACutStretch_goesOnInTheNext', async () => {
  const t = await openStore(freshDir())
  for (let i = 1; i <= 6; i++) void t.write(recordOf(i))
  void t.write({ kind: 'cutSuffix', from: 4 })
  for (let i = 4; i <= 8; i++) void t.write(recordOf(i, 1, 50))
  await t.store.drained()
  expect((await t.store.readLog(2, 9, 1e6)).next).toBe(9)
})

test('cutOfEverything_thenASnapshotFromElsewhere_startsAnew', async () => {
  const dir = freshDir()
  let t = await openStore(dir)
  for (let i = 1; i <= 5; i++) await t.write(recordOf(i))
  await t.write({ kind: 'snapshotCommit', header: headerOf('s', 6, []) }, { kind: 'cutPrefix', below: 6 })
  await t.write(
    { kind: 'snapshotCommit', header: headerOf('x', 1_000, []) },
    { kind: 'cutSuffix', from: 0 },
    { kind: 'meta', meta: t.store.meta },
  )
  await t.write(recordOf(1_000))
  t = await reopen(t, dir)
  expect(await t.indexes()).toEqual([1_000])
})

test('drained_whileWritesKeepComing_isToldInTime', async () => {
  const t = await openStore(freshDir())
  const { onWritten } = t.store
  let going = true
  let i = 1
  t.store.onWritten = (token) => {
    onWritten(token)
    if (going) void t.write(recordOf(i++))
  }
  for (let k = 0; k < 8; k++) void t.write(recordOf(i++))
  await soon(50)
  const slice = await Promise.race([t.store.readLog(1, 3, 1e6), soon(3_000)])
  going = false
  expect(slice).toMatchObject({ from: 1, next: 3 })
})
