import { existsSync, readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { LOG_DIR } from '@coppice/replica/server'
import { expect, test } from 'vitest'
import { freshDir, headerOf, openStore, recordOf, soon } from './support.js'

test('close_whileAWriteFails_ends', async () => {
  const t = await openStore(freshDir())
  await t.write(recordOf(1))
  void t.write(recordOf(2))
  const closing = t.store.close()
  t.store.fail('the disk said no')
  expect(await Promise.race([closing.then(() => 'closed'), soon(2_000)])).toBe('closed')
})

test('close_rightAfterOpening_leavesNothingOpenAndNothingUnderWay', async () => {
  const dir = freshDir()
  const open = (): string[] =>
    (existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd') : []).flatMap((fd) => {
      try {
        const to = readlinkSync(`/proc/self/fd/${fd}`)
        return to.startsWith(dir) ? [to] : []
      } catch {
        return []
      }
    })
  for (let i = 1; i <= 6; i++) {
    const t = await openStore(dir)
    await t.write(recordOf(i))
    await t.store.close()
    const names = readdirSync(join(dir, LOG_DIR))
    expect(open()).toEqual([])
    await soon(50)
    expect(open()).toEqual([])
    expect(readdirSync(join(dir, LOG_DIR))).toEqual(names)
  }
  const t = await openStore(dir)
  expect((await t.indexes()).length).toBe(6)
})

test('write_afterClose_isNeitherMadeNorReported', async () => {
  const t = await openStore(freshDir())
  for (let i = 1; i <= 6; i++) await t.write(recordOf(i, 1, 512 * 1024))
  const told = t.written.length
  const closing = t.store.close()
  void t.write({ kind: 'snapshotCommit', header: headerOf('s', 6, []) }, { kind: 'cutPrefix', below: 6 })
  void t.write(recordOf(7))
  await closing
  await soon(50)
  expect(t.failures).toEqual([])
  expect(t.written.length).toBe(told)
})

test('drained_theStoreFails_rejects', async () => {
  const t = await openStore(freshDir())
  void t.write(recordOf(1))
  const drained = t.store.drained()
  t.store.fail('the disk said no')
  const read = t.store.readLog(1, 2, 1)
  const later = t.store.drained()
  const told = await Promise.race([Promise.allSettled([drained, read, later]), soon(2_000)])
  expect(told?.map((each) => each.status)).toEqual(['rejected', 'rejected', 'rejected'])
})
