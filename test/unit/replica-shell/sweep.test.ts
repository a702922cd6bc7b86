import type { LmdbTable } from '@coppice/runtime/server'
import { expect, test } from 'vitest'
import { chunkOf, freshDir, headerOf, openStore, recordOf, reopen, type TestStore } from './support.js'

const RECORDS = 20_000

function keysIn(t: TestStore, table: 'log' | 'chunks'): number {
  const { tables } = t.store as unknown as { tables: Record<string, LmdbTable> }
  return [...tables[table]!.keys()].length
}

async function logOf(dir: string, records: number): Promise<TestStore> {
  const t = await openStore(dir)
  for (let i = 1; i <= records; i += 500) {
    const upTo = Math.min(i + 500, records + 1)
    void t.write(...Array.from({ length: upTo - i }, (_, n) => recordOf(i + n)))
  }
  await t.write()
  return t
}

test('cutPrefix_ofManyRecords_isOneSmallWriteAndSweptWhileWritesGoOn', async () => {
  const dir = freshDir()
  let t = await logOf(dir, RECORDS)
  await t.write(
    { kind: 'snapshotCommit', header: headerOf('s', RECORDS, []) },
    { kind: 'cutPrefix', below: RECORDS - 10 },
  )
  expect(keysIn(t, 'log')).toBeGreaterThan(RECORDS / 2)
  expect((await t.indexes())[0]).toBe(RECORDS - 10)
  let next = RECORDS + 1
  // Writes are never held up by the sweep: they complete while it is under way.
  while (keysIn(t, 'log') > 1_000) await t.write(recordOf(next++))
  await expect.poll(() => keysIn(t, 'log')).toBe(next - (RECORDS - 10))
  t = await reopen(t, dir)
  expect((await t.indexes()).length).toBe(next - (RECORDS - 10))
})

test('cutSuffix_sweep_leavesWhatWasWrittenAfterIt', async () => {
  const dir = freshDir()
  let t = await logOf(dir, 3_000)
  await t.write({ kind: 'cutSuffix', from: 11 })
  for (let i = 11; i <= 40; i++) void t.write(recordOf(i, 1, 30))
  await expect.poll(() => keysIn(t, 'log')).toBe(40)
  expect((await t.indexes()).length).toBe(40)
  t = await reopen(t, dir)
  expect((await t.indexes()).length).toBe(40)
})

test('sweep_interruptedByClose_goesOnAfterReopen', async () => {
  const dir = freshDir()
  let t = await logOf(dir, 3_000)
  await t.write({ kind: 'cutSuffix', from: 0 })
  t = await reopen(t, dir)
  await t.write(recordOf(7))
  await expect.poll(() => keysIn(t, 'log')).toBe(1)
  expect(await t.indexes().catch((e: Error) => e.message)).toContain('log records from 1 to 7 are missing')
})

test('snapshotPieces_ofDroppedSnapshots_areSwept_unfinishedOnesAreNot', async () => {
  const t = await openStore(freshDir())
  const piece = new Uint8Array(10)
  for (let round = 0; round < 3; round++) {
    for (let c = 0; c < 600; c++) void t.write(chunkOf(`s${round}`, c, piece))
    const header = headerOf(
      `s${round}`,
      1,
      Array.from({ length: 600 }, () => piece),
    )
    await t.write({ kind: 'snapshotCommit', header })
    // Begun while the sweep of the one before is under way.
    for (let c = 0; c < 5; c++) void t.write(chunkOf(`next${round}`, c, piece))
  }
  await t.write()
  await expect.poll(() => keysIn(t, 'chunks')).toBe(605)
  expect((await t.recovered()).chunks.length).toBe(600)
})
