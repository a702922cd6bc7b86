// Values up to the largest, on real processes: several at once arrive whole, small operations go on beside them, and nobody is taken for
// dead because of them.
import { createHash, randomBytes } from 'node:crypto'
import { MAX_VALUE_BYTES } from '@coppice/protocol'
import type { Db } from '@coppice/vkv'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Cluster } from './support/cluster.js'

const WRITERS = 3
let cluster: Cluster
let db: Db

beforeAll(async () => {
  cluster = await Cluster.start()
  db = await cluster.connect()
})
afterAll(() => cluster?.stop())

const digest = (bytes: Uint8Array | undefined): string =>
  bytes === undefined ? 'missing' : createHash('sha256').update(bytes).digest('hex')
const key = (name: string): Uint8Array => Buffer.from(name)

test('largestValues_atOnce_arriveWhole_smallOperationsGoOn_epochStays', async () => {
  const before = (await cluster.view()).state.epoch
  const writers = await Promise.all(Array.from({ length: WRITERS }, () => cluster.connect()))
  const values = writers.map((_, i) => randomBytes(MAX_VALUE_BYTES - i))
  let writing = true
  let steps = 0
  const counting = (async () => {
    // Done twice or lost, a step would find another number than its own.
    for (; writing; steps++) {
      const expected = steps === 0 ? undefined : String(steps)
      const stepped = await db.kv.condPut('counter', expected, String(steps + 1))
      expect(stepped.ok, `step ${steps}`).toBe(true)
      expect(await db.kv.get('counter')).toBe(String(steps + 1))
    }
  })()
  await Promise.all(writers.map((writer, i) => writer.kv.put(`large/${i}`, values[i]!)))
  writing = false
  await counting
  expect(steps).toBeGreaterThan(1)
  // Each value is read by a client that did not write it, all at once, twice: two replicas may answer.
  const read = (reader: Db, i: number): Promise<Uint8Array | undefined> =>
    reader.kv.bytes.get(key(`large/${(i + 1) % WRITERS}`))
  for (let round = 0; round < 2; round++) {
    const found = await Promise.all(writers.map(read))
    expect(found.map(digest)).toEqual(values.map((_, i) => digest(values[(i + 1) % WRITERS])))
  }
  expect(await db.kv.get('counter')).toBe(String(steps))
  const { epoch, history } = (await cluster.view()).state
  expect(
    history.filter((each) => each.epoch > before),
    'changes nobody needed',
  ).toEqual([])
  expect(epoch).toBe(before)
})

test('valueAboveTheLimit_isRefusedBeforeItIsSent', async () => {
  const tooLarge = db.kv.put('too-large', new Uint8Array(MAX_VALUE_BYTES + 1))
  await expect(tooLarge).rejects.toMatchObject({ code: 'TOO_LARGE', outcome: 'not-applied' })
  await expect(db.kv.put('too-large', new Uint8Array(17 * 1024 * 1024))).rejects.toMatchObject({ attempts: 0 })
  expect(await db.kv.get('too-large')).toBeUndefined()
})
