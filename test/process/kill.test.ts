// kill -9 under load, on real processes: writes go on by themselves, nothing acknowledged is lost or done twice, the group is back at
// its size by itself. Pauses are measured and printed, never asserted.
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Db } from '@coppice/vkv'
import { Cluster } from './support/cluster.js'
import { Load } from './support/load.js'
import type { ServerProcess } from './support/server-process.js'
import { median, until } from './support/wait.js'

const WRITERS = 64
let cluster: Cluster
let db: Db
let readers: Db[]

beforeAll(async () => {
  cluster = await Cluster.start()
  db = await cluster.connect()
  readers = await Promise.all([cluster.connect(), cluster.connect(), cluster.connect()])
})
afterAll(() => cluster?.stop())

/** Kills what `victims` names, again and again under load; each is started again, and the group is whole before the next. */
async function killRounds(label: string, rounds: number, victims: () => Promise<ServerProcess[]>): Promise<void> {
  const load = new Load(db, label, WRITERS, readers)
  const writePauses: number[] = []
  const readPauses: number[] = []
  let failovers = 0
  let shippedBytes = 0
  for (let round = 0; round < rounds; round++) {
    await load.moreWrites()
    const killed = await victims()
    const { epoch } = (await cluster.view()).state
    load.writeGap.take()
    load.readGap.take()
    await Promise.all(killed.map((server) => server.kill()))
    await load.moreWrites()
    writePauses.push(load.writeGap.take())
    readPauses.push(load.readGap.take())
    // What a member that stays had to be shipped: where writes wait for it, a part of the log at the most.
    for (const { catchUp } of (await cluster.view()).state.history.filter(
      (h) => h.epoch > epoch && h.cause === 'failover',
    )) {
      failovers++
      for (const { how, bytes } of catchUp) {
        expect(how).not.toBe('full')
        shippedBytes += bytes
      }
    }
    await Promise.all(killed.map((server) => server.start()))
    if (killed.some(({ kind }) => kind === 'replica')) {
      await until('newer epoch', async () => (await cluster.view()).state.epoch > epoch)
    }
    await cluster.whole()
  }
  await load.finish()
  print(`${label}: median write pause ${median(writePauses)} ms (${writePauses.join(', ')})`)
  print(`${label}: ${failovers} failovers shipped ${shippedBytes} bytes`)
  print(`${label}: longest read gap ${Math.max(...readPauses)} ms; ${load.writes} writes, ${load.reads} reads`)
}

function print(line: string): void {
  process.stdout.write(`  ${line}\n`)
}

test('primaryKilled_twentyTimes_writesGoOn_nothingLostOrDoneTwice', async () => {
  await killRounds('primary killed', 20, async () => [await cluster.primary()])
})

test('backupKilled_writesGoOn_nothingLostOrDoneTwice', async () => {
  await killRounds('backup killed', 2, async () => [(await cluster.members())[2]!])
})

test('configLeaderKilled_noReadFails', async () => {
  await killRounds('config leader killed', 3, async () => [await cluster.leader()])
})

test('primaryAndConfigLeaderKilled_writesGoOn_nothingLostOrDoneTwice', async () => {
  await killRounds('primary and config leader killed', 2, async () => [await cluster.primary(), await cluster.leader()])
})

test('allProcessesKilled_andStartedAgain_nothingLost', async () => {
  const load = new Load(db, 'all killed', WRITERS, readers)
  await load.moreWrites()
  await Promise.all(cluster.processes.map((server) => server.kill()))
  await Promise.all(cluster.processes.map((server) => server.start()))
  await load.moreWrites()
  await cluster.whole()
  await load.finish()
  expect(load.unknown).toBe(0)
})
