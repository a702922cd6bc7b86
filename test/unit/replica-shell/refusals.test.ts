import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { STORE_FILE } from '@coppice/replica/server'
import { expect, test } from 'vitest'
import { chunkOf, freshDir, headerOf, openStore, recordOf, startWriter } from './support.js'

const PAYLOAD = 3_000

/** Writes a store with a snapshot at 4 and records 1..6, closes it, and flips one byte in the middle of what `marker` finds. */
async function storeWithFlippedByte(marker: Buffer): Promise<string> {
  const dir = freshDir()
  const t = await openStore(dir)
  const piece = new Uint8Array(PAYLOAD).fill(0x33)
  for (let i = 1; i <= 6; i++) void t.write(recordOf(i, 1, PAYLOAD, 0x40 + i))
  await t.write(chunkOf('s', 0, piece), { kind: 'snapshotCommit', header: headerOf('s', 4, [piece]) })
  await t.write({ kind: 'meta', meta: { ...t.store.meta, checkpointId: 'checkpoint-of-the-test' } })
  await t.store.close()
  const file = join(dir, STORE_FILE)
  const bytes = readFileSync(file)
  let flipped = 0
  // lmdb keeps older pages; every copy is damaged, so that the live one is.
  for (let at = bytes.indexOf(marker); at >= 0; at = bytes.indexOf(marker, at + marker.length)) {
    bytes[at + (marker.length >> 1)]! ^= 0x01
    flipped++
  }
  expect(flipped).toBeGreaterThan(0)
  writeFileSync(file, bytes)
  return dir
}

test.each([
  ['logRecord', Buffer.alloc(512, 0x42), /log record 2 is damaged/],
  ['snapshotPiece', Buffer.alloc(512, 0x33), /piece 0 of 1 of snapshot s is damaged/],
])('recover_flippedByteIn_%s_isRefusedByName', async (_, marker, message) => {
  const t = await openStore(await storeWithFlippedByte(marker))
  const refused = t.recovered()
  await expect(refused).rejects.toThrow(message)
  await expect(refused).rejects.toThrow(new RegExp(`${STORE_FILE}.*remove this data directory`))
})

test('open_flippedByteInMeta_isRefusedByName', async () => {
  const dir = await storeWithFlippedByte(Buffer.from('checkpoint-of-the-test'))
  await expect(openStore(dir)).rejects.toThrow(/the mark "meta" is damaged/)
  // Refused, not kept: the directory is free again.
  await expect(openStore(dir)).rejects.toThrow(/the mark "meta" is damaged/)
})

test('readLog_damagedWhileRunning_stopsTheStore', async () => {
  const t = await openStore(await storeWithFlippedByte(Buffer.alloc(512, 0x45)))
  await expect(t.store.readLog(5, 6, 1e6)).rejects.toThrow(/log record 5 is damaged/)
  expect(t.failures).toHaveLength(1)
  void t.write(recordOf(7))
  await t.store.close()
  expect(t.written).toEqual([])
})

test.each([
  ['zeroed', (file: Buffer) => file.fill(0, 0, 8_192)],
  ['flippedMagic', (file: Buffer) => file.fill(0xff, 24, 25)],
  ['cutInHeader', (file: Buffer) => file.subarray(0, 5_000)],
  ['cutAfterHeader', (file: Buffer) => file.subarray(0, 8_192)],
])('open_%s_isRefusedByNameNotBySignal', async (_, damage) => {
  const dir = freshDir()
  const t = await openStore(dir)
  await t.write(recordOf(1))
  await t.store.close()
  const file = join(dir, STORE_FILE)
  writeFileSync(file, damage(readFileSync(file)))
  await expect(openStore(dir)).rejects.toThrow(STORE_FILE)
})

test('recover_lostTail_isRefused', async () => {
  const dir = freshDir()
  const t = await openStore(dir)
  for (let i = 1; i <= 4; i++) await t.write(recordOf(i))
  // As if lmdb had lost its last entry without a trace.
  const { lmdb } = t.store as unknown as {
    lmdb: { table(n: string): { remove(k: unknown): void }; commit(w: () => void, d: () => void): void }
  }
  await new Promise<void>((resolve) => lmdb.commit(() => lmdb.table('log').remove([1, 4]), resolve))
  await expect(t.recovered()).rejects.toThrow(/the log ends at 4, but it was written up to 5/)
})

test('recover_hole_isRefused', async () => {
  const dir = freshDir()
  const t = await openStore(dir)
  for (let i = 1; i <= 4; i++) await t.write(recordOf(i))
  const { lmdb } = t.store as unknown as {
    lmdb: { table(n: string): { remove(k: unknown): void }; commit(w: () => void, d: () => void): void }
  }
  await new Promise<void>((resolve) => lmdb.commit(() => lmdb.table('log').remove([1, 2]), resolve))
  await expect(t.recovered()).rejects.toThrow(/log record 2 is missing/)
})

test('open_otherIdGroupOrCluster_isRefusedByName', async () => {
  const dir = freshDir()
  const t = await openStore(dir)
  await t.write({ kind: 'meta', meta: { ...t.store.meta, clusterId: 'blue' } })
  await t.store.close()
  await expect(openStore(dir, 'r2')).rejects.toThrow('belongs to replica "r1", not to "r2"')
  await expect(openStore(dir, 'r1', 'other')).rejects.toThrow('belongs to group "main", not to "other"')
  await expect(openStore(dir, 'r1', 'main', 'green')).rejects.toThrow('belongs to cluster blue, not to green')
  await openStore(dir, 'r1', 'main', 'blue')
})

test('open_directoryOfAnotherStore_isRefused', async () => {
  const dir = freshDir()
  writeFileSync(join(dir, 'config.lmdb'), '')
  await expect(openStore(dir)).rejects.toThrow(/holds another server's store \(config.lmdb\)/)
})

test('open_twiceInOneOrTwoProcesses_isRefusedNamingTheHolder', async () => {
  const dir = freshDir()
  const child = startWriter(dir)
  await once(child.stdout, 'data')
  await expect(openStore(dir)).rejects.toThrow(new RegExp(`is in use by replica r1 \\(pid ${child.pid}\\)`))
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
  await openStore(dir)
})
