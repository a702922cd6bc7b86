// The config leader is killed with kill -9 at each step of a reconfiguration, as its log tells that it has come there. The next leader
// goes on by itself: no call fails, the group serves a newer epoch, and the operator's request gets one answer.
import type { Db } from '@coppice/vkv'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Cluster } from './support/cluster.js'
import { Load } from './support/load.js'
import type { ServerProcess } from './support/server-process.js'
import { within } from './support/wait.js'

const STEPS = ['reserve', 'prepare', 'seal', 'enter', 'relinquish', 'activate']
let cluster: Cluster
let db: Db

beforeAll(async () => {
  cluster = await Cluster.start()
  db = await cluster.connect()
})
afterAll(() => cluster?.stop())

test.each(STEPS)('controllerKilledAt_%s_theNextOneGoesOn', async (step) => {
  const reader = await cluster.connect()
  const load = new Load(db, `killed at ${step}`, 16, [reader])
  await load.moreWrites()
  const { epoch, members } = (await cluster.view()).state
  const spare = cluster.replicas.find(({ id }) => !members.includes(id))!
  // Every step is taken: the spare comes in as primary, the present primary leaves.
  const to = [spare.id, members[1]!, members[2]!]
  load.writeGap.take()
  load.readGap.take()
  const killed = killAt(step)
  const answer = cluster.admin.reconfigure(to, `killed-at-${step}`)
  const dead = await killed
  const result = await answer
  await load.moreWrites()
  print(
    `controller killed at ${step}: write pause ${load.writeGap.take()} ms, longest read gap ${load.readGap.take()} ms`,
  )
  await dead.start()
  const now = await cluster.whole()
  expect(now).toBeGreaterThan(epoch)
  // Whether the attempt was finished or begun anew, what was answered is what happened.
  expect(result, result.message).toMatchObject({ ok: true })
  const { history } = (await cluster.view()).state
  expect(history.find((e) => e.epoch === result.epoch)?.members).toEqual(to)
  await load.finish()
})

/** kill -9 of the config server whose log first tells of this step; resolves with it once it is gone. */
async function killAt(step: string): Promise<ServerProcess> {
  const dead = new Promise<ServerProcess>((resolve) => {
    for (const server of cluster.configServers) {
      server.onEvent = ({ event, step: reached }) => {
        if (event !== 'attemptStep' || reached !== step) return
        for (const other of cluster.configServers) other.onEvent = undefined
        void server.kill().then(() => resolve(server))
      }
    }
  })
  return within(`step ${step}`, dead)
}

function print(line: string): void {
  process.stdout.write(`  ${line}\n`)
}
