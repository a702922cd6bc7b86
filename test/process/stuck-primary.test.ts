// A primary that is neither dead nor well: its disk hangs, or the whole process is stopped and wakes up again. Others take over; what
// it answers afterwards is never stale.
import { fileURLToPath } from 'node:url'
import type { Db } from '@coppice/vkv'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Cluster } from './support/cluster.js'
import { Load } from './support/load.js'
import { type PinnedAnswer, PinnedReader } from './support/pinned-reader.js'
import { pause, until } from './support/wait.js'

const HANGING = fileURLToPath(new URL('./support/hanging-replica.mjs', import.meta.url))
let cluster: Cluster
let db: Db

beforeAll(async () => {
  cluster = await Cluster.start({ scripts: { r1: HANGING, r2: HANGING, r3: HANGING, r4: HANGING } })
  db = await cluster.connect()
})
afterAll(() => cluster?.stop())

test('primaryWithHangingDisk_isReplaced_nothingLost', async () => {
  const reader = await cluster.connect()
  const load = new Load(db, 'hanging', 64, [reader])
  await load.moreWrites()
  const stuck = await cluster.primary()
  const { epoch } = (await cluster.view()).state
  load.writeGap.take()
  stuck.signal('SIGUSR2')
  // It goes on for a while with what was on its way to the disk; then nothing commits until it is replaced.
  await until('epoch without it', async () => {
    const { state } = await cluster.view()
    return state.epoch > epoch && !state.members.includes(stuck.id)
  })
  await load.moreWrites()
  print(
    `primary with a hanging disk: write pause ${load.writeGap.take()} ms, longest read gap ${load.readGap.take()} ms`,
  )
  await cluster.whole()
  stuck.signal('SIGUSR2')
  await load.moreWrites()
  await load.finish()
  expect(stuck.isRunning).toBe(true)
})

test('primaryStoppedForThreeSeconds_wakes_andServesNothingStale', async () => {
  const load = new Load(db, 'stopped', 64)
  const key = 'stopped/watermark'
  await db.kv.put(key, '0')
  const stopped = await cluster.primary()
  const reader = new PinnedReader(stopped.address)
  expect(await reader.get(key)).toEqual({ kind: 'value', value: '0' })
  await load.moreWrites()
  load.writeGap.take()

  let watermark = 0
  let done = false
  const raised = (async () => {
    while (!done) {
      await db.kv.put(key, String(watermark + 1))
      watermark++
    }
  })()
  // Reads sent one after the other without waiting: those of the three seconds pile up in front of the sleeper and are answered when it
  // wakes, each with the least value it may show.
  const reads: { least: number; answer: Promise<PinnedAnswer> }[] = []
  const reading = (async () => {
    while (!done) {
      reads.push({ least: watermark, answer: reader.get(key) })
      await pause(5)
    }
  })()
  stopped.signal('SIGSTOP')
  await pause(3_000)
  // It must sleep through the beginning of the epoch that replaces it.
  await until('epoch without it', async () => !(await cluster.view()).state.members.includes(stopped.id))
  const sleptThrough = watermark
  await load.moreWrites()
  stopped.signal('SIGCONT')
  await load.moreWrites(2_000)
  done = true
  await Promise.all([raised, reading])
  const stale: string[] = []
  let answered = 0
  for (const { least, answer } of reads) {
    const said = await answer
    if (said.kind === 'none') continue
    answered++
    if (Number(said.value) < least) stale.push(`${said.value} after ${least} was acknowledged`)
  }
  reader.close()
  expect(stale).toEqual([])
  expect(watermark).toBeGreaterThan(sleptThrough)
  print(
    `primary stopped for 3 s: write pause ${load.writeGap.take()} ms, ${reads.length} pinned reads, ${answered} answered`,
  )
  await load.finish()
  await cluster.whole()
})

function print(line: string): void {
  process.stdout.write(`  ${line}\n`)
}
