import { once } from 'node:events'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { RECORD_HEADER_BYTES } from '@coppice/protocol'
import { FRAME_BYTES, HEADER_BYTES, LOG_DIR, STORE_FILE } from '@coppice/replica/server'
import { expect, test } from 'vitest'
import { chunkOf, freshDir, headerOf, openStore, recordOf, startWriter } from './support.js'

const PAYLOAD = 3_000

/** Flips one byte in the middle of every place where `marker` is. */
function flip(file: string, marker: Buffer): void {
  const bytes = readFileSync(file)
  let flipped = 0
  // lmdb keeps older pages; every copy is damaged, so that the live one is.
  for (let at = bytes.indexOf(marker); at >= 0; at = bytes.indexOf(marker, at + marker.length)) {
    bytes[at + (marker.length >> 1)]! ^= 0x01
    flipped++
  }
  expect(flipped).toBeGreaterThan(0)
  writeFileSync(file, bytes)
}

const SEGMENT = join(LOG_DIR, '00000001.log')

/** Writes a store with a snapshot at 4 and records 1..6, closes it, and flips one byte in the middle of what `marker` finds in `name`. */
async function storeWithFlippedByte(name: string, marker: Buffer): Promise<string> {
  const dir = freshDir()
  const t = await openStore(dir)
  const piece = new Uint8Array(PAYLOAD).fill(0x33)
  for (let i = 1; i <= 6; i++) await t.write(recordOf(i, 1, PAYLOAD, 0x40 + i))
  await t.write(chunkOf('s', 0, piece), { kind: 'snapshotCommit', header: headerOf('s', 4, [piece]) })
  await t.write({ kind: 'meta', meta: { ...t.store.meta, checkpointId: 'checkpoint-of-the-test' } })
  await t.store.close()
  flip(join(dir, name), marker)
  return dir
}

test('recover_flippedByteInASnapshotPiece_isRefusedByName', async () => {
  const t = await openStore(await storeWithFlippedByte(STORE_FILE, Buffer.alloc(512, 0x33)))
  const refused = t.recovered()
  await expect(refused).rejects.toThrow(/piece 0 of 1 of snapshot s is damaged/)
  await expect(refused).rejects.toThrow(new RegExp(`${STORE_FILE}.*remove this data directory`))
})

test.each([
  ['middle', 0x42, /log record 2 is damaged, and others follow it/],
  // After an orderly end the marks say how far the log went.
  ['last', 0x46, /log record 6 is damaged or missing \(the log was written up to 7\)/],
])('open_flippedByteInThe_%s_logRecord_isRefusedByName', async (_, fill, message) => {
  const dir = await storeWithFlippedByte(SEGMENT, Buffer.alloc(512, fill))
  await expect(openStore(dir)).rejects.toThrow(message)
  await expect(openStore(dir)).rejects.toThrow(/remove this data directory/)
})

test('open_flippedByteInMeta_isRefusedByName', async () => {
  const dir = await storeWithFlippedByte(STORE_FILE, Buffer.from('checkpoint-of-the-test'))
  await expect(openStore(dir)).rejects.toThrow(/the mark "meta" is damaged/)
  // Refused, not kept: the directory is free again.
  await expect(openStore(dir)).rejects.toThrow(/the mark "meta" is damaged/)
})

test('readLog_damagedWhileRunning_stopsTheStore', async () => {
  const dir = freshDir()
  const t = await openStore(dir)
  for (let i = 1; i <= 6; i++) await t.write(recordOf(i, 1, PAYLOAD, 0x40 + i))
  flip(join(dir, SEGMENT), Buffer.alloc(512, 0x45))
  await expect(t.store.readLog(5, 6, 1e6)).rejects.toThrow(/log record 5 is damaged/)
  expect(t.failures).toHaveLength(1)
  void t.write(recordOf(7))
  await t.store.close()
  expect(t.written).toEqual([1, 2, 3, 4, 5, 6])
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

test.each([
  // As if the disk had lost what it acknowledged, without a trace.
  ['lostTail', 4, 4, /log record 4 is damaged or missing \(the log was written up to 5\)/],
  ['lostLog', 1, 4, /all log records are missing \(the log ended at 5\)/],
  ['hole', 2, 2, /log record 2 is damaged, and others follow it/],
])('open_%s_isRefused', async (_, from, to, message) => {
  const dir = freshDir()
  const t = await openStore(dir)
  for (let i = 1; i <= 4; i++) await t.write(recordOf(i, 1, PAYLOAD, 0x40 + i))
  await t.store.close()
  const file = join(dir, SEGMENT)
  const bytes = readFileSync(file)
  const frame = PAYLOAD + RECORD_HEADER_BYTES + FRAME_BYTES
  bytes.fill(0, HEADER_BYTES + (from - 1) * frame, HEADER_BYTES + to * frame)
  writeFileSync(file, bytes)
  await expect(openStore(dir)).rejects.toThrow(message)
})

test('open_damagedHeaderOfASegment_isRefusedByName', async () => {
  const dir = freshDir()
  const t = await openStore(dir)
  await t.write(recordOf(1))
  await t.store.close()
  const file = join(dir, SEGMENT)
  const bytes = readFileSync(file)
  bytes[9]! ^= 0x01
  writeFileSync(file, bytes)
  await expect(openStore(dir)).rejects.toThrow(/00000001.log: its header is damaged/)
})

test('open_systemRefuses_isToldWithoutTheAdviceToRemoveTheStore', async () => {
  const dir = freshDir()
  const t = await openStore(dir)
  await t.write(recordOf(1))
  await t.store.close()
  const file = join(dir, SEGMENT)
  rmSync(file)
  mkdirSync(file)
  const refusal = await openStore(dir).catch((error: Error) => error.message)
  expect(refusal).toMatch(/replica.lmdb cannot be opened: EISDIR/)
  expect(refusal).not.toContain('remove')
})

test('open_missingSegment_isRefusedByName', async () => {
  const dir = freshDir()
  const t = await openStore(dir)
  await t.write(recordOf(1))
  await t.store.close()
  rmSync(join(dir, SEGMENT))
  await expect(openStore(dir)).rejects.toThrow(/log record|00000001.log/)
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
