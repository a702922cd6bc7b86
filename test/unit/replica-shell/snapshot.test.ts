import { expect, test } from 'vitest'
import { chunkOf, freshDir, headerOf, openStore, recordOf, reopen } from './support.js'

const pieces = (n: number, fill: number): Uint8Array[] =>
  Array.from({ length: n }, (_, i) => new Uint8Array(1_000 + i).fill(fill))

test('snapshotCommit_isTheOneRecovered_othersAreDropped', async () => {
  const dir = freshDir()
  let t = await openStore(dir)
  const a = pieces(3, 1)
  const b = pieces(2, 2)
  void t.write(recordOf(1, 9))
  a.forEach((bytes, i) => void t.write(chunkOf('a', i, bytes)))
  void t.write(chunkOf('b', 0, b[0]!))
  await t.write({ kind: 'snapshotCommit', header: headerOf('a', 10, a) })
  expect((await t.recovered()).chunks).toEqual(a.map((bytes, i) => ['a', i, bytes]))
  // 'b' was dropped with the commit of 'a': it begins anew.
  await t.write(chunkOf('b', 0, b[0]!), chunkOf('b', 1, b[1]!), {
    kind: 'snapshotCommit',
    header: headerOf('b', 10, b),
  })
  t = await reopen(t, dir)
  expect((await t.recovered()).chunks).toEqual(b.map((bytes, i) => ['b', i, bytes]))
  expect(await t.store.readSnapshot('a', 0)).toEqual({ header: undefined, bytes: undefined })
  expect((await t.store.readSnapshot('', 1)).bytes).toEqual(b[1])
  expect((await t.store.readSnapshot('b', 2)).bytes).toBeUndefined()
})

test('snapshotCommit_withAMissingPiece_stopsTheStore', async () => {
  const t = await openStore(freshDir())
  const a = pieces(2, 1)
  await t.write(chunkOf('a', 1, a[1]!))
  void t.write({ kind: 'snapshotCommit', header: headerOf('a', 1, a) })
  await expect.poll(() => t.failures).toHaveLength(1)
  expect(t.failures[0]).toContain('snapshot a has piece 0 of 2')
})

test('recover_dropsUnfinishedSnapshots', async () => {
  const dir = freshDir()
  let t = await openStore(dir)
  const a = pieces(3, 1)
  await t.write(chunkOf('a', 0, a[0]!), chunkOf('a', 1, a[1]!))
  t = await reopen(t, dir)
  expect((await t.recovered()).chunks).toEqual([])
  void t.write(chunkOf('a', 2, a[2]!), { kind: 'snapshotCommit', header: headerOf('a', 1, a) })
  await expect.poll(() => t.failures).toHaveLength(1)
  expect(t.failures[0]).toContain('snapshot a has piece 0 of 3')
})

test('fullCheckpoint_inOneEffect_replacesStateAndLog', async () => {
  const dir = freshDir()
  let t = await openStore(dir)
  for (let i = 1; i <= 20; i++) void t.write(recordOf(i))
  const a = pieces(2, 7)
  a.forEach((bytes, i) => void t.write(chunkOf('x', i, bytes)))
  const lineage = [[0, 0] as const, [3, 400] as const]
  await t.write(
    { kind: 'snapshotCommit', header: headerOf('x', 500, a) },
    { kind: 'cutSuffix', from: 0 },
    { kind: 'meta', meta: { ...t.store.meta, lineage, sealedFor: 9 } },
  )
  t = await reopen(t, dir)
  expect((await t.recovered()).records).toEqual([])
  expect(t.store.meta).toMatchObject({ lineage, sealedFor: 9 })
  await t.write(recordOf(500, 4))
  t = await reopen(t, dir)
  expect(await t.indexes()).toEqual([500])
})

test('snapshotDrop_forgetsOnlyTheUnfinishedOne', async () => {
  const dir = freshDir()
  let t = await openStore(dir)
  const a = pieces(1, 1)
  await t.write(chunkOf('a', 0, a[0]!), { kind: 'snapshotCommit', header: headerOf('a', 1, a) })
  await t.write(chunkOf('b', 0, a[0]!))
  await t.write({ kind: 'snapshotDrop', snapshotId: 'b' }, { kind: 'snapshotDrop', snapshotId: 'a' })
  t = await reopen(t, dir)
  expect((await t.recovered()).chunks.map(([id]) => id)).toEqual(['a'])
})

test('snapshotBegin_whatWasBrought_outlivesTheProcess_andGoesOnUnderAnotherName', async () => {
  const dir = freshDir()
  let t = await openStore(dir)
  const a = pieces(3, 1)
  const { digest: _, ...origin } = headerOf('theirs', 10, a)
  await t.write({ kind: 'snapshotBegin', snapshotId: 'first', origin })
  await t.write(chunkOf('first', 0, a[0]!))
  await t.write(chunkOf('first', 2, a[2]!), chunkOf('own', 0, a[0]!))
  t = await reopen(t, dir)
  await t.recovered()
  expect(t.store.unfinished).toEqual({ snapshotId: 'first', origin, have: [0, 2] })
  await t.write({ kind: 'snapshotBegin', snapshotId: 'second', origin, resumes: 'first' })
  t = await reopen(t, dir)
  expect(t.store.unfinished).toEqual({ snapshotId: 'second', origin, have: [0, 2] })
  await t.write(chunkOf('second', 1, a[1]!), { kind: 'snapshotCommit', header: headerOf('second', 10, a) })
  expect(t.store.unfinished).toBeUndefined()
  t = await reopen(t, dir)
  expect((await t.recovered()).chunks).toEqual(a.map((bytes, i) => ['second', i, bytes]))
})

test('snapshotBegin_dropped_leavesNothing', async () => {
  const dir = freshDir()
  let t = await openStore(dir)
  const a = pieces(2, 1)
  const { digest: _, ...origin } = headerOf('theirs', 10, a)
  await t.write({ kind: 'snapshotBegin', snapshotId: 'copy', origin })
  await t.write(chunkOf('copy', 0, a[0]!))
  await t.write({ kind: 'snapshotDrop', snapshotId: 'copy' })
  expect(t.store.unfinished).toBeUndefined()
  t = await reopen(t, dir)
  expect(t.store.unfinished).toBeUndefined()
  // Its name means nothing any more.
  void t.write({ kind: 'snapshotBegin', snapshotId: 'next', origin, resumes: 'copy' }, chunkOf('next', 1, a[1]!))
  void t.write({ kind: 'snapshotCommit', header: headerOf('next', 10, a) })
  await expect.poll(() => t.failures).toHaveLength(1)
  expect(t.failures[0]).toContain('snapshot next has piece 0 of 2')
})
