import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { freshDir, openStore, recordOf, startWriter } from './support.js'

// After kill -9 in the middle of writes, whatever was reported durable is there, each effect wholly or not at all.
test.each([25, 160, 400])('kill9_after%iAcks_everyAckedRecordIsThere', async (acks) => {
  const dir = freshDir()
  const child = startWriter(dir)
  const exit = once(child, 'exit')
  let acked = 0
  let lines = 0
  for await (const line of createInterface(child.stdout)) {
    acked = Math.max(acked, Number(line))
    if (++lines === acks) child.kill('SIGKILL')
  }
  await exit
  const t = await openStore(dir)
  const { records } = await t.recovered()
  const last = records[records.length - 1]!
  const end = new DataView(last.buffer).getUint32(12, true) + new DataView(last.buffer).getUint32(20, true)
  expect(end).toBeGreaterThanOrEqual(acked)
  // The marks belong to the same transaction as the record they came with.
  expect(t.store.meta.claim).toBe(end)
  await t.write(recordOf(end))
})
