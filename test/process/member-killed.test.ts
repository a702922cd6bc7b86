// Members are killed with kill -9 in the middle of a planned change, as a server's log tells that it has come there: the new primary, and a
// server that comes in. Whether the change is finished or given up, no call fails, nothing is lost or done twice, and the group is whole
// without the dead one. A sample of the table that the simulator tells (test/scenario/deaths.test.ts).
import type { Db } from '@coppice/vkv'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Cluster } from './support/cluster.js'
import { Load } from './support/load.js'
import type { LoggedEvent, ServerProcess } from './support/server-process.js'
import { until, within } from './support/wait.js'

/** What the log of the config leader or of the victim tells first. */
const STAGES: Readonly<Record<string, (event: LoggedEvent, byVictim: boolean) => boolean>> = {
  prepare: ({ event, step }) => event === 'attemptStep' && step === 'prepare',
  seal: ({ event, step }) => event === 'attemptStep' && step === 'seal',
  entered: ({ event }, byVictim) => event === 'entered' && byVictim,
  activated: ({ event }, byVictim) => event === 'activated' && byVictim,
}
const DEATHS = [
  ['new primary', 'seal'],
  ['new primary', 'entered'],
  ['new primary', 'activated'],
  ['target', 'prepare'],
  ['target', 'seal'],
  ['target', 'entered'],
] as const
let cluster: Cluster
let db: Db

beforeAll(async () => {
  cluster = await Cluster.start({ replicas: 4 })
  db = await cluster.connect()
})
afterAll(() => cluster?.stop())

test.each(DEATHS)('%sKilledAt_%s_theGroupGoesOn', async (victim, stage) => {
  const load = new Load(db, `${victim} at ${stage}`, 16, [db])
  await load.moreWrites()
  const { members } = (await cluster.view()).state
  const spare = cluster.replicas.find(({ id }) => !members.includes(id))!
  // The primary leaves, a backup leads, the spare comes in.
  const to = [members[1]!, members[2]!, spare.id]
  load.writeGap.take()
  const killed = killAt(stage, victim === 'target' ? spare : cluster.byId(to[0]!))
  const answer = cluster.admin.reconfigure(to, `${victim}-at-${stage}`.replace(' ', '-'))
  const dead = await killed
  await load.moreWrites()
  process.stdout.write(`  ${victim} killed at ${stage}: write pause ${load.writeGap.take()} ms\n`)
  // Three others are left; they become the members, or stay.
  // It may have become one of them before it was missed.
  await until('group without the dead one', async () => {
    await cluster.whole()
    return !(await cluster.view()).state.members.includes(dead.id)
  })
  await dead.start()
  // A change that was answered with yes has happened.
  const result = await answer
  const { history } = (await cluster.view()).state
  if (result.ok) expect(history.find((h) => h.epoch === result.epoch)?.members).toEqual(to)
  await load.finish()
  expect(load.unknown).toBe(0)
})

/** kill -9 of `victim` as soon as any log tells of this stage; resolves with it once it is gone. */
async function killAt(stage: string, victim: ServerProcess): Promise<ServerProcess> {
  const dead = new Promise<ServerProcess>((resolve) => {
    for (const server of cluster.processes) {
      server.onEvent = (event) => {
        if (!STAGES[stage]!(event, server === victim)) return
        for (const other of cluster.processes) other.onEvent = undefined
        void victim.kill().then(() => resolve(victim))
      }
    }
  })
  return within(`stage ${stage}`, dead)
}
