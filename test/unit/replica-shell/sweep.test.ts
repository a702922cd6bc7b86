import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { RECORD_HEADER_BYTES } from '@coppice/protocol'
import { FRAME_BYTES, HEADER_BYTES, LOG_DIR } from '@coppice/replica/server'
import type { LmdbTable } from '@coppice/runtime/server'
import { expect, test } from 'vitest'
import { chunkOf, freshDir, headerOf, openStore, recordOf, reopen, soon, type TestStore } from './support.js'

function keysIn(t: TestStore, table: 'chunks'): number {
  const { tables } = t.store as unknown as { tables: Record<string, LmdbTable> }
  return [...tables[table]!.keys()].length
}

const RECORD_BYTES = 64 * 1024

/** Files of the log that hold records or are ready for them. */
function segmentsIn(dir: string): string[] {
  return readdirSync(join(dir, LOG_DIR)).filter((name) => name.endsWith('.log'))
}

async function logOf(dir: string, records: number): Promise<TestStore> {
  const t = await openStore(dir)
  for (let i = 1; i <= records; i++) void t.write(recordOf(i, 1, RECORD_BYTES))
  await t.write()
  return t
}

test('cutPrefix_givesSegmentsBack_andTheyAreUsedAgain', async () => {
  const dir = freshDir()
  let t = await logOf(dir, 300)
  const before = segmentsIn(dir).length
  await t.write({ kind: 'snapshotCommit', header: headerOf('s', 300, []) }, { kind: 'cutPrefix', below: 290 })
  expect((await t.indexes())[0]).toBe(290)
  await expect.poll(() => segmentsIn(dir).length).toBeLessThan(before)
  for (let i = 301; i <= 700; i++) void t.write(recordOf(i, 1, RECORD_BYTES))
  await t.write()
  t = await reopen(t, dir)
  const indexes = await t.indexes()
  expect([indexes[0], indexes.length]).toEqual([290, 411])
})

test('cutSuffix_ofManySegments_givesThemBack', async () => {
  const dir = freshDir()
  let t = await logOf(dir, 300)
  const before = segmentsIn(dir).length
  await t.write({ kind: 'cutSuffix', from: 11 })
  for (let i = 11; i <= 40; i++) void t.write(recordOf(i, 1, 30))
  await t.write()
  await expect.poll(() => segmentsIn(dir).length).toBeLessThan(before)
  expect((await t.indexes()).length).toBe(40)
  t = await reopen(t, dir)
  expect((await t.indexes()).length).toBe(40)
})

test('cutSuffix_thenClosedAtOnce_isKept', async () => {
  const dir = freshDir()
  let t = await logOf(dir, 30)
  await t.write({ kind: 'cutSuffix', from: 0 })
  t = await reopen(t, dir)
  expect(await t.indexes()).toEqual([])
  await t.write(recordOf(7))
  expect(await t.indexes().catch((e: Error) => e.message)).toContain('log records from 1 to 7 are missing')
})

test('tornEnd_isCut_andNothingOfItComesBack', async () => {
  const dir = freshDir()
  let t = await openStore(dir)
  for (let i = 1; i <= 3; i++) await t.write(recordOf(i, 1, 100))
  // Two records of one write; the process is gone before it is told of them, and the first did not reach the disk whole.
  void t.write(recordOf(4, 1, 100))
  await t.write(recordOf(5, 1, 100))
  const file = join(dir, LOG_DIR, '00000001.log')
  const torn = readFileSync(file)
  await t.store.close()
  const frame = 100 + RECORD_HEADER_BYTES + FRAME_BYTES
  torn[HEADER_BYTES + 3 * frame + 60]! ^= 0xff
  const crashed = freshDir()
  t = await openStore(crashed)
  for (let i = 1; i <= 3; i++) await t.write(recordOf(i, 1, 100))
  await t.write({ kind: 'meta', meta: { ...t.store.meta, claim: 1 } })
  await t.store.close()
  const own = readFileSync(join(crashed, LOG_DIR, '00000001.log'))
  // The tag is the crashed one's own.
  const tag = own.subarray(HEADER_BYTES, HEADER_BYTES + 4)
  const tail = torn.subarray(HEADER_BYTES + 3 * frame, HEADER_BYTES + 5 * frame)
  for (const at of [0, frame]) {
    tag.copy(tail, at)
    tail.writeUInt32LE(crc32(tail.subarray(at, at + 16)), at + 16)
  }
  tail.copy(own, HEADER_BYTES + 3 * frame)
  writeFileSync(join(crashed, LOG_DIR, '00000001.log'), own)
  t = await openStore(crashed)
  expect(await t.indexes()).toEqual([1, 2, 3])
  // As long as the torn one was: what lay behind it must not follow the new one.
  await t.write(recordOf(4, 1, 100, 0x11))
  t = await reopen(t, crashed)
  const { records } = await t.recovered()
  expect(records.length).toBe(4)
  expect(records[3]).toEqual(recordOf(4, 1, 100, 0x11).bytes)
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

test('cutPrefix_thenAnotherChangeOfTheManifest_keepsTheSegmentThatIsWrittenTo', async () => {
  const dir = freshDir()
  let t = await openStore(dir)
  for (let i = 1; i <= 300; i++) void t.write(recordOf(i, 1, 256 * 1024))
  await t.write()
  const piece = new Uint8Array(10)
  void t.write({ kind: 'snapshotCommit', header: headerOf('s', 300, []) }, { kind: 'cutPrefix', below: 290 })
  void t.write(chunkOf('n1', 0, piece))
  void t.write(chunkOf('n2', 0, piece))
  await t.write(chunkOf('n3', 0, piece))
  await soon(300)
  expect(t.failures).toEqual([])
  expect((await t.indexes())[0]).toBe(290)
  await t.write(recordOf(301))
  expect((await t.indexes()).at(-1)).toBe(301)
  t = await reopen(t, dir)
  expect((await t.indexes()).at(-1)).toBe(301)
}, 60_000)
