// What a crash may leave in the segments, and what may be missing from them.
import { cpSync, existsSync, rmSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import type { DiskWrite } from '@coppice/replica'
import { RECORD_HEADER_BYTES } from '@coppice/protocol'
import { FRAME_BYTES, HEADER_BYTES, LOG_DIR } from '@coppice/replica/server'
import { expect, test } from 'vitest'
import { crashed, freshDir, openStore, recordOf, reopen, soon, type TestStore } from './support.js'

const marked = (t: TestStore, claim: number): DiskWrite => ({ kind: 'meta', meta: { ...t.store.meta, claim } })

/** The segments are written and prepared as ever, but no marks of an effect get to the disk. */
function loseMarks(t: TestStore): void {
  ;(t.store as unknown as { commit(): void }).commit = () => undefined
}

test('mixedEffect_lostItsMarks_itsRecordsNeverComeBack', async () => {
  const dir = freshDir()
  let t = await openStore(dir)
  await t.write(recordOf(1), marked(t, 1))
  await t.write(recordOf(2))
  // Its records get to the disk, its marks do not.
  loseMarks(t)
  void t.write(recordOf(3, 1, 100, 0x11), marked(t, 3))
  await soon(100)
  const copy = crashed(dir)
  t.store.fail('over')
  t = await openStore(copy)
  expect(await t.indexes()).toEqual([1, 2])
  await t.write(recordOf(3, 1, 100, 0x22), marked(t, 4))
  t = await reopen(t, copy)
  const { records } = await t.recovered()
  expect(records.length).toBe(3)
  expect(records[2]).toEqual(recordOf(3, 1, 100, 0x22).bytes)
  await t.write(recordOf(4))
  t = await reopen(t, copy)
  expect(await t.indexes()).toEqual([1, 2, 3, 4])
})

test('mixedEffectOverSegments_lostItsMarks_itsRecordsNeverComeBack', async () => {
  const dir = freshDir()
  let t = await openStore(dir)
  await t.write(recordOf(1), marked(t, 1))
  loseMarks(t)
  const big = 900 * 1024
  void t.write(...[2, 3, 4, 5].map((i) => recordOf(i, 1, big, 0x11)), marked(t, 3))
  await soon(600)
  const copy = crashed(dir)
  t.store.fail('over')
  t = await openStore(copy)
  expect(await t.indexes()).toEqual([1])
  for (let i = 2; i < 9; i++) await t.write(recordOf(i, 1, 400_000, 0x22), marked(t, 4))
  t = await reopen(t, copy)
  const { records } = await t.recovered()
  expect(records.length).toBe(8)
  expect(records[1]).toEqual(recordOf(2, 1, 400_000, 0x22).bytes)
})

test('open_missingSegmentThatNoMarkSpeaksOf_isRefused', async () => {
  for (const gone of ['00000001.log', '00000002.log', '00000003.log']) {
    const dir = freshDir()
    const t = await openStore(dir)
    for (let i = 1; i <= 30; i++) await t.write(recordOf(i, 1, 256 * 1024))
    await soon(100)
    const copy = crashed(dir)
    await t.store.close()
    expect(existsSync(join(copy, LOG_DIR, gone))).toBe(true)
    rmSync(join(copy, LOG_DIR, gone))
    await expect(
      openStore(copy).then(() => 'opened'),
      gone,
    ).rejects.toThrow(/missing/)
  }
}, 60_000)

test('open_segmentOfAnotherStore_orCutShort_isRefusedByName', async () => {
  const [own, foreign] = [freshDir(), freshDir()]
  for (const dir of [own, foreign]) {
    const t = await openStore(dir)
    for (let i = 1; i <= 10; i++) await t.write(recordOf(i, 1, 256 * 1024))
    await soon(200)
    if (dir === own) continue
    for (const name of ['00000001.log', '00000002.log', '00000003.log']) {
      const copied = crashed(own)
      cpSync(join(dir, LOG_DIR, name), join(copied, LOG_DIR, name))
      await expect(openStore(copied).then(() => 'opened')).rejects.toThrow(`${name}: it is a file of another store`)
      // At the end of the last record that is whole: nothing torn is left to be seen.
      const short = crashed(own)
      const frame = 256 * 1024 + RECORD_HEADER_BYTES + FRAME_BYTES
      truncateSync(join(short, LOG_DIR, name), HEADER_BYTES + frame)
      await expect(openStore(short).then(() => 'opened')).rejects.toThrow(`${name}: it was cut short`)
    }
  }
}, 60_000)
